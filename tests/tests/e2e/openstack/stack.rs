//! The OpenStack of the tests, as its administrator and its tenants see it. What is asserted here is read from Nova and
//! Placement themselves, never from Fenix.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Longest that anything of OpenStack may take here before it counts as hanging.
pub(crate) const STACK_PATIENCE: Duration = Duration::from_secs(180);

/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(300);

const NOVA: &str = "http://127.0.0.1:8774/v2.1";
pub(crate) const KEYSTONE: &str = "http://127.0.0.1:5000/v3";
const PLACEMENT: &str = "http://127.0.0.1:8778";
const GLANCE: &str = "http://127.0.0.1:9292";
const AODH: &str = "http://127.0.0.1:8042";
pub(crate) const MASAKARI: &str = "http://127.0.0.1:15868/v1";

/// The message bus.
pub(crate) const BROKER: &str = "rabbit://rig:rigpass@127.0.0.1:15672/";

/// The same behind TLS.
pub(crate) const BROKER_TLS: &str = "amqps://rig:rigpass@127.0.0.1:15671/%2f";

/// Every compute of the rig.
pub(crate) const COMPUTES: [&str; 4] = ["compute-1", "compute-2", "compute-3", "compute-4"];

/// Virtual CPUs that a compute offers.
pub(crate) const VCPUS: usize = 16;

/// Where the rig is.
pub(crate) fn rig_dir() -> PathBuf {
    std::env::var_os("RIG_DIR").map_or_else(|| "/tmp/fenix-openstack".into(), PathBuf::from)
}

/// The file of its accounts.
pub(crate) fn clouds_file() -> PathBuf {
    rig_dir().join("clouds.yaml")
}

/// OpenStack, by one account.
pub(crate) struct Stack {
    runtime: Runtime,
    http: reqwest::Client,
    /// Its token.
    pub(crate) token: String,
    /// The project that it is for.
    pub(crate) project: String,
    administers: bool,
}

impl Stack {
    /// By an account that has the name of its project.
    pub(crate) fn of(name: &str) -> Stack {
        Stack::open(name, name)
    }

    /// By the administrator's.
    pub(crate) fn admin() -> Stack {
        Stack::open("admin", "admin")
    }

    fn open(user: &str, project: &str) -> Stack {
        let runtime = Runtime::new().unwrap();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(fenix_server::tls::client(&fenix_server::tls::Trust::Nobody).unwrap())
            .no_proxy()
            .build()
            .unwrap();
        let domain = json!({"id": "default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {
                "user": {"name": user, "domain": domain, "password": "rigpass"}}},
            "scope": {"project": {"name": project, "domain": domain}},
        }});
        let (token, project) = runtime.block_on(async {
            let reply = http.post(format!("{KEYSTONE}/auth/tokens")).json(&body).send().await.unwrap();
            let token = reply.headers()["x-subject-token"].to_str().unwrap().to_owned();
            let body: Value = reply.json().await.unwrap();
            (token, body["token"]["project"]["id"].as_str().unwrap().to_owned())
        });
        Stack { runtime, http, token, project, administers: user == "admin" }
    }

    /// One call; its status, and its body if that is JSON.
    pub(crate) fn ask(&self, method: Method, url: &str, body: Option<&Value>) -> (u16, Value) {
        self.try_to_ask(method, url, body).unwrap()
    }

    /// The same; `None` if whoever is asked went away.
    pub(crate) fn try_to_ask(&self, method: Method, url: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let mut request = self
            .http
            .request(method, url)
            .header("x-auth-token", &self.token)
            .header("openstack-api-version", "compute 2.96")
            .header("openstack-api-version", "placement 1.36");
        if let Some(body) = body {
            request = request.json(body);
        }
        self.runtime.block_on(async {
            let reply = request.send().await.ok()?;
            let status = reply.status().as_u16();
            Some((status, reply.json().await.unwrap_or(Value::Null)))
        })
    }

    #[track_caller]
    fn good(&self, method: Method, url: &str, body: Option<&Value>) -> Value {
        let (status, reply) = self.ask(method, url, body);
        assert!(status < 300, "{url}: {status} {reply}");
        reply
    }

    /// Reads something of Nova.
    #[track_caller]
    pub(crate) fn nova(&self, path: &str) -> Value {
        self.good(Method::GET, &format!("{NOVA}{path}"), None)
    }

    /// Has Nova do something to a server.
    #[track_caller]
    pub(crate) fn act(&self, server: &str, action: &Value) {
        self.good(Method::POST, &format!("{NOVA}/servers/{server}/action"), Some(action));
    }

    /// All servers that the account may see, of all projects if it administers.
    pub(crate) fn servers(&self) -> Vec<Value> {
        let all = if self.administers { "?all_tenants=1" } else { "" };
        self.nova(&format!("/servers/detail{all}"))["servers"].as_array().unwrap().clone()
    }

    pub(crate) fn server(&self, id: &str) -> Value {
        self.nova(&format!("/servers/{id}"))["server"].clone()
    }

    /// Where a server is.
    pub(crate) fn host_of(&self, id: &str) -> String {
        self.server(id)["OS-EXT-SRV-ATTR:host"].as_str().unwrap_or_default().to_owned()
    }

    /// True while a migration of a server is under way, or waits to be confirmed.
    pub(crate) fn is_migrating(&self, id: &str) -> bool {
        let all = self.nova(&format!("/os-migrations?instance_uuid={id}"))["migrations"].clone();
        let over = ["confirmed", "reverted", "error", "failed", "completed", "cancelled", "done"];
        all.as_array().unwrap().iter().any(|one| !over.contains(&one["status"].as_str().unwrap()))
    }

    /// Lets a host that was evacuated and runs again back into the cloud, once it has cleaned up.
    pub(crate) fn take_back(&self, host: &str) {
        let open = format!("/os-migrations?source_compute={host}&migration_type=evacuation");
        self.wait("the host to clean up", || {
            let all = self.nova(&open)["migrations"].clone();
            all.as_array().unwrap().iter().all(|migration| migration["status"] == "completed")
        });
        self.set_compute(host, &json!({"forced_down": false}));
        self.wait("the host to be up", || self.computes()[host]["state"] == "up");
    }

    /// Boots servers and waits until they run. `extra` goes beside the server in the request.
    pub(crate) fn boot(&self, count: usize, flavor: &str, extra: &Value) -> Vec<String> {
        let flavors = self.nova("/flavors");
        let named = |all: &Value, name: &str| {
            let found = all.as_array().unwrap().iter().find(|one| one["name"] == name);
            found.unwrap_or_else(|| panic!("no {name} in {all}"))["id"].clone()
        };
        let flavor = named(&flavors["flavors"], flavor);
        let image = named(&self.good(Method::GET, &format!("{GLANCE}/v2/images"), None)["images"], "tiny");
        let ids: Vec<String> = (0..count)
            .map(|n| {
                let mut body = json!({"server": {
                    "name": format!("server-{n}"), "flavorRef": flavor, "imageRef": image, "networks": "none"}});
                for (key, value) in extra.as_object().into_iter().flatten() {
                    body[key] = value.clone();
                }
                let reply = self.good(Method::POST, &format!("{NOVA}/servers"), Some(&body));
                reply["server"]["id"].as_str().unwrap().to_owned()
            })
            .collect();
        for id in &ids {
            self.wait(&format!("server {id} to run"), || {
                let server = self.server(id);
                assert_ne!(server["status"], "ERROR", "{server}");
                server["status"] == "ACTIVE"
            });
        }
        ids
    }

    /// Makes a server group, and returns its id.
    pub(crate) fn group(&self, name: &str, policy: &str) -> String {
        let body = json!({"server_group": {"name": name, "policy": policy}});
        let reply = self.good(Method::POST, &format!("{NOVA}/os-server-groups"), Some(&body));
        reply["server_group"]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn delete(&self, id: &str) {
        let (status, reply) = self.ask(Method::DELETE, &format!("{NOVA}/servers/{id}"), None);
        assert!(status < 300 || status == 404, "{status} {reply}");
        self.wait(&format!("server {id} to go"), || {
            self.ask(Method::GET, &format!("{NOVA}/servers/{id}"), None).0 == 404
        });
    }

    /// Waits until something holds.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, holds: impl FnMut() -> bool) {
        self.wait_within(STACK_PATIENCE, what, holds);
    }

    /// The same with another patience.
    #[track_caller]
    pub(crate) fn wait_within(&self, patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < patience, "waited {patience:?} for {what}");
            let_pass(LOOK_EVERY);
        }
    }

    /// The compute services by host.
    pub(crate) fn computes(&self) -> BTreeMap<String, Value> {
        let services = self.nova("/os-services?binary=nova-compute")["services"].clone();
        let named = |service: &Value| (service["host"].as_str().unwrap().to_owned(), service.clone());
        services.as_array().unwrap().iter().map(named).collect()
    }

    /// Changes a compute service.
    pub(crate) fn set_compute(&self, host: &str, change: &Value) {
        let id = self.computes()[host]["id"].as_str().unwrap().to_owned();
        self.good(Method::PUT, &format!("{NOVA}/os-services/{id}"), Some(change));
    }

    /// What is held on each host according to Placement: virtual CPUs by consumer.
    pub(crate) fn held(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let nodes = self.nova("/os-hypervisors")["hypervisors"].clone();
        let held = |node: &Value| {
            let id = node["id"].as_str().unwrap();
            let url = format!("{PLACEMENT}/resource_providers/{id}/allocations");
            let all = self.good(Method::GET, &url, None)["allocations"].clone();
            let by = all.as_object().unwrap().iter();
            let by = by.map(|(who, what)| (who.clone(), what["resources"]["VCPU"].as_u64().unwrap_or(0)));
            (node["hypervisor_hostname"].as_str().unwrap().to_owned(), by.collect())
        };
        nodes.as_array().unwrap().iter().map(held).collect()
    }

    /// What is wrong with what Placement holds: every server must hold what it needs on its host, and nobody else
    /// anything.
    pub(crate) fn misheld(&self) -> Vec<String> {
        let servers = self.servers();
        let mut expected: BTreeMap<String, BTreeMap<String, u64>> =
            self.held().into_keys().map(|host| (host, BTreeMap::new())).collect();
        for server in &servers {
            let host = server["OS-EXT-SRV-ATTR:host"].as_str().unwrap_or_default();
            let of_host = expected.entry(host.to_owned()).or_default();
            of_host
                .insert(server["id"].as_str().unwrap().into(), server["flavor"]["vcpus"].as_u64().unwrap());
        }
        let differ = |(host, held): (String, BTreeMap<String, u64>)| {
            let wanted = expected.remove(&host).unwrap_or_default();
            (held != wanted).then(|| format!("{host}: {held:?} is held instead of {wanted:?}"))
        };
        self.held().into_iter().filter_map(differ).collect()
    }

    /// Gives a host a card of that class: a provider of its own under the host's.
    pub(crate) fn offer(&self, host: &str, class: &str, count: u64) {
        self.good(Method::PUT, &format!("{PLACEMENT}/resource_classes/{class}"), None);
        let all = self.good(Method::GET, &format!("{PLACEMENT}/resource_providers"), None);
        let all = all["resource_providers"].as_array().unwrap().clone();
        let id = |name: &str| {
            all.iter().find(|one| one["name"] == name).map(|one| one["uuid"].as_str().unwrap().to_owned())
        };
        let name = format!("{host}-{class}");
        let card = id(&name).unwrap_or_else(|| {
            let body = json!({"name": name, "parent_provider_uuid": id(host).unwrap()});
            let made = self.good(Method::POST, &format!("{PLACEMENT}/resource_providers"), Some(&body));
            made["uuid"].as_str().unwrap().to_owned()
        });
        let url = format!("{PLACEMENT}/resource_providers/{card}/inventories");
        let known = self.good(Method::GET, &url, None)["resource_provider_generation"].clone();
        let offered = json!({class: {"total": count}});
        let body = json!({"resource_provider_generation": known, "inventories": offered});
        self.good(Method::PUT, &url, Some(&body));
    }

    /// The name of a small flavor with those extra specs.
    pub(crate) fn flavor_with(&self, name: &str, specs: &Value) -> String {
        let flavors = self.nova("/flavors")["flavors"].clone();
        if !flavors.as_array().unwrap().iter().any(|one| one["name"] == name) {
            let body = json!({"flavor": {"name": name, "ram": 512, "vcpus": 1, "disk": 1}});
            let made = self.good(Method::POST, &format!("{NOVA}/flavors"), Some(&body));
            let id = made["flavor"]["id"].as_str().unwrap();
            let body = json!({"extra_specs": specs});
            self.good(Method::POST, &format!("{NOVA}/flavors/{id}/os-extra_specs"), Some(&body));
        }
        name.to_owned()
    }

    /// Has Aodh post every event of that type to `url`.
    pub(crate) fn create_alarm(&self, event_type: &str, url: &str) {
        let alarm = json!({
            "name": "maintenance", "type": "event", "event_rule": {"event_type": event_type},
            "repeat_actions": true, "alarm_actions": [url],
        });
        self.good(Method::POST, &format!("{AODH}/v2/alarms"), Some(&alarm));
    }

    /// How many alarms there are in all projects.
    pub(crate) fn alarms(&self) -> usize {
        let url = format!("{AODH}/v2/alarms?q.field=all_projects&q.op=eq&q.value=true");
        self.good(Method::GET, &url, None).as_array().unwrap().len()
    }

    /// Has Masakari watch every compute.
    pub(crate) fn watch_computes(&self) {
        let segment =
            json!({"segment": {"name": "computes", "recovery_method": "auto", "service_type": "COMPUTE"}});
        let made = self.good(Method::POST, &format!("{MASAKARI}/segments"), Some(&segment));
        let hosts = format!("{MASAKARI}/segments/{}/hosts", made["segment"]["uuid"].as_str().unwrap());
        for host in COMPUTES {
            let host = json!({"host": {"name": host, "type": "COMPUTE", "control_attributes": "SSH"}});
            self.good(Method::POST, &hosts, Some(&host));
        }
    }

    /// The hosts that Masakari watches, true for those that it leaves alone.
    pub(crate) fn watched(&self) -> BTreeMap<String, bool> {
        let mut watched = BTreeMap::new();
        for host in self.masakari_hosts() {
            let name = host["name"].as_str().unwrap().to_owned();
            watched.insert(name, host["on_maintenance"].as_bool().unwrap());
        }
        watched
    }

    fn masakari_hosts(&self) -> Vec<Value> {
        let segments = self.good(Method::GET, &format!("{MASAKARI}/segments"), None)["segments"].clone();
        let hosts = |segment: &Value| {
            let id = segment["uuid"].as_str().unwrap();
            let url = format!("{MASAKARI}/segments/{id}/hosts");
            self.good(Method::GET, &url, None)["hosts"].as_array().unwrap().clone()
        };
        segments.as_array().unwrap().iter().flat_map(hosts).collect()
    }

    /// Nobody has an alarm, and Masakari watches nothing.
    fn forget_all(&self) {
        for tenant in ["demo", "demo2"].map(Stack::of) {
            let alarms = tenant.good(Method::GET, &format!("{AODH}/v2/alarms"), None);
            for alarm in alarms.as_array().unwrap() {
                let url = format!("{AODH}/v2/alarms/{}", alarm["alarm_id"].as_str().unwrap());
                tenant.good(Method::DELETE, &url, None);
            }
        }
        for host in self.masakari_hosts() {
            let (segment, id) =
                (host["failover_segment_id"].as_str().unwrap(), host["uuid"].as_str().unwrap());
            let url = format!("{MASAKARI}/segments/{segment}/hosts/{id}");
            let free = json!({"host": {"on_maintenance": false}});
            self.good(Method::PUT, &url, Some(&free));
            self.good(Method::DELETE, &url, None);
        }
        let segments = self.good(Method::GET, &format!("{MASAKARI}/segments"), None)["segments"].clone();
        for segment in segments.as_array().unwrap() {
            let url = format!("{MASAKARI}/segments/{}", segment["uuid"].as_str().unwrap());
            self.good(Method::DELETE, &url, None);
        }
    }

    /// The addresses of a service in the catalog, by interface.
    pub(crate) fn endpoints(&self, kind: &str) -> BTreeMap<String, String> {
        let services = self.good(Method::GET, &format!("{KEYSTONE}/services?type={kind}"), None);
        let Some(id) = services["services"][0]["id"].as_str().map(str::to_owned) else {
            return BTreeMap::new();
        };
        let all = self.good(Method::GET, &format!("{KEYSTONE}/endpoints?service_id={id}"), None);
        let each = all["endpoints"].as_array().unwrap().iter();
        let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
        each.map(|one| (text(one, "interface"), text(one, "url"))).collect()
    }

    /// Has the catalog forget a service.
    pub(crate) fn unregister(&self, kind: &str) {
        let services = self.good(Method::GET, &format!("{KEYSTONE}/services?type={kind}"), None);
        for service in services["services"].as_array().unwrap() {
            let url = format!("{KEYSTONE}/services/{}", service["id"].as_str().unwrap());
            self.good(Method::DELETE, &url, None);
        }
    }

    /// Has every token of a user become worthless, as when it is over.
    pub(crate) fn revoke_tokens(&self, user: &str) {
        let users = self.good(Method::GET, &format!("{KEYSTONE}/users?name={user}"), None);
        let url = format!("{KEYSTONE}/users/{}", users["users"][0]["id"].as_str().unwrap());
        for enabled in [false, true] {
            self.good(Method::PATCH, &url, Some(&json!({"user": {"enabled": enabled}})));
        }
    }

    /// As every test wants to find it: no server, every compute up and open, nothing slow or failing.
    pub(crate) fn clean() -> Stack {
        let stack = Stack::admin();
        for host in COMPUTES {
            knobs(host, &json!({}));
        }
        up();
        stack.forget_all();
        for (host, service) in stack.computes() {
            if service["forced_down"] == true {
                stack.set_compute(&host, &json!({"forced_down": false}));
            }
            if service["status"] != "enabled" {
                stack.set_compute(&host, &json!({"status": "enabled"}));
            }
        }
        for server in stack.servers() {
            stack.delete(server["id"].as_str().unwrap());
        }
        stack.wait("every compute to be up", || {
            stack.computes().values().filter(|service| service["state"] == "up").count() == COMPUTES.len()
        });
        for group in stack.nova("/os-server-groups?all_projects=true")["server_groups"].as_array().unwrap() {
            let url = format!("{NOVA}/os-server-groups/{}", group["id"].as_str().unwrap());
            stack.ask(Method::DELETE, &url, None);
        }
        // Nova leaves some behind when a server is deleted on its way.
        for consumer in stack.held().into_values().flat_map(BTreeMap::into_keys) {
            stack.good(Method::DELETE, &format!("{PLACEMENT}/allocations/{consumer}"), None);
        }
        stack.wait("nothing to be held", || stack.held().values().all(BTreeMap::is_empty));
        stack
    }
}

/// Kills a process of the rig, as the machine under it would.
pub(crate) fn kill(name: &str) {
    let pid = std::fs::read_to_string(rig_dir().join("run").join(format!("{name}.pid"))).unwrap();
    // Those of uWSGI and Erlang are groups.
    let status = Command::new("kill").args(["-KILL", "--", &format!("-{}", pid.trim())]).status().unwrap();
    assert!(status.success(), "{name} did not run");
}

/// Brings up what is not up.
pub(crate) fn up() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("openstack/up");
    let status = Command::new(script).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "the rig does not come up");
}

/// Lets real time pass: a cloud that is real has no other, and tells nobody when it has changed.
pub(crate) fn let_pass(span: Duration) {
    std::thread::sleep(span);
}

/// Sets the knobs of a compute: see tests/openstack/virt_driver.py.
pub(crate) fn knobs(host: &str, knobs: &Value) {
    let path = rig_dir().join("var/nova").join(host).join("knobs.json");
    let new = path.with_extension("new");
    std::fs::write(&new, knobs.to_string()).unwrap();
    std::fs::rename(new, path).unwrap();
}
