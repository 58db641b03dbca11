//! What a configuration means, as lines of a file that says everything.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ValueEnum;
use fenix_core::id::HostId;
use fenix_core::inventory::Resources;
use fenix_core::policy::{Ceilings, Policies, Policy, Terms};
use fenix_core::time::Millis;
use fenix_packages::policy::{MOST_BYTES, Patience};
use serde_json::{Value, json};

use super::Config;
use crate::auth::KeystoneSettings;
use crate::bus::{BusSettings, DEFAULT_EXCHANGE, shown};
use crate::calls::CallSettings;
use crate::infrastructure::{Infrastructure, OpenStackSettings};
use crate::packages::{AccountSettings, PackageSettings};
use crate::remote::RemoteSettings;
use crate::tls::Trust;

/// One setting: its key, with those of the tables around it, and its value; `null` = none.
pub type Setting = (&'static str, Value);

impl Config {
    /// Every setting with its value, in the order of the example. Whoever adds one, adds it here.
    pub fn settings(&self) -> Vec<Setting> {
        let Config {
            listen,
            public_url,
            data_dir,
            infrastructure: Infrastructure { driver, sim, openstack },
            own_host,
            plugin_dir,
            receivers,
            deliver_trust,
            tokens,
            rate,
            tls,
            plain_http,
            keystone: KeystoneSettings { administrators, readers, projects },
            bus: BusSettings { brokers, exchange, durable, ca },
            packages,
            calls: CallSettings { ca: calls_ca, secrets },
            remote: RemoteSettings { way, ssh_config, seconds },
            log,
            traces,
            retention_days,
            terms,
        } = self;
        let OpenStackSettings { cloud, clouds_file, zone_key } = openstack;
        let file = |path: Option<&PathBuf>| json!(path.map(|path| path.display().to_string()));
        let deliver_ca = match deliver_trust {
            Trust::File(path) => Some(path),
            Trust::Nobody | Trust::System => None,
        };
        let mut all = vec![
            ("listen", json!(listen.to_string())),
            ("public_url", json!(public_url.clone().unwrap_or_else(|| self.own_url()))),
            ("data_dir", json!(data_dir.display().to_string())),
            ("driver", word_of(driver)),
            ("cloud", json!(sim.to_string())),
            ("own_host", json!(own_host.as_ref().map_or("", HostId::as_str))),
            ("plugin_dir", file(plugin_dir.as_ref())),
            ("deliver_to", json!(receivers.entries())),
            ("deliver_ca", file(deliver_ca)),
            ("tokens", file(tokens.as_ref())),
            ("calls_per_second", json!(rate.per_second)),
            ("tls_certificate", file(tls.as_ref().map(|files| &files.certificate))),
            ("tls_key", file(tls.as_ref().map(|files| &files.key))),
            ("plain_http", json!(plain_http)),
            ("openstack.cloud", json!(cloud)),
            ("openstack.clouds_file", file(clouds_file.as_ref())),
            ("openstack.zone_key", json!(zone_key)),
            ("keystone.administrators", json!(administrators)),
            ("keystone.readers", json!(readers)),
            ("keystone.projects", json!(projects)),
            ("bus.brokers", json!(brokers.iter().map(|broker| shown(broker)).collect::<Vec<_>>())),
            ("bus.exchange", json!(exchange.as_deref().unwrap_or(DEFAULT_EXCHANGE))),
            ("bus.durable", json!(durable)),
            ("bus.ca", file(ca.as_ref())),
        ];
        all.extend(of_packages(packages));
        let secrets: BTreeMap<&String, String> =
            secrets.iter().map(|(name, path)| (name, path.display().to_string())).collect();
        all.extend([
            ("calls.ca", file(calls_ca.as_ref())),
            ("calls.secrets", json!(secrets)),
            ("remote.way", json!(way.word())),
            ("remote.ssh_config", file(ssh_config.as_ref())),
            ("remote.seconds", json!(seconds)),
            ("log.format", word_of(log)),
            ("traces.endpoint", json!(traces)),
            ("store.retention_days", json!(retention_days)),
        ]);
        all.extend(of_terms(terms));
        all
    }

    /// The address that it listens on, as a URL.
    pub fn own_url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.listen)
    }
}

/// A word of a list, as it is written.
fn word_of(value: &impl ValueEnum) -> Value {
    json!(value.to_possible_value().map(|word| word.get_name().to_owned()))
}

fn of_packages(packages: &PackageSettings) -> [Setting; 8] {
    let PackageSettings { allow, folder, proof, keys, most_mb, within, ca, accounts } = packages;
    let who = |(registry, account): (&String, &AccountSettings)| {
        let AccountSettings { user, password_file } = account;
        (registry.clone(), json!({ "user": user, "password_file": password_file.display().to_string() }))
    };
    let file = |path: &Option<PathBuf>| json!(path.as_ref().map(|path| path.display().to_string()));
    let patience = Patience::default().whole.as_secs();
    [
        ("packages.allow", json!(allow)),
        ("packages.folder", file(folder)),
        ("packages.proof", json!(proof.unwrap_or_default())),
        ("packages.keys", json!(keys)),
        ("packages.most_mb", json!(most_mb.map_or(MOST_BYTES >> 20, u64::from))),
        ("packages.within", json!(within.map_or(patience, u64::from))),
        ("packages.ca", file(ca)),
        ("packages.accounts", accounts.iter().map(who).collect()),
    ]
}

fn of_terms(terms: &Terms) -> Vec<Setting> {
    let Terms {
        policies,
        hosts_at_once,
        hosts_at_once_per_zone,
        headroom,
        failure_budget,
        rounds,
        scale_in_rounds,
        maintenance_reply,
        scale_in_reply,
        min_reply,
        deliver_within,
        settle_time,
        move_within,
        service_within,
        action_within,
        own_action_within,
        ask_per_instance,
        scale_in_max,
        own_host,
        ceilings: Ceilings { lead_time, recovery_time, least_impacted },
    } = terms;
    // Of further classes nothing can be kept free: they are the infrastructure's words.
    let Resources { vcpus, memory_mb, disk_gb, other: _ } = headroom;
    let Policies { silence, nack, unmanaged, failed_move, failed_action, slow_live } = policies;
    let secs = |span: &Millis| json!(span.as_secs_ceil());
    let word = |policy: &Policy| serde_json::to_value(policy).unwrap_or(Value::Null);
    vec![
        ("terms.hosts_at_once", json!(hosts_at_once)),
        ("terms.hosts_at_once_per_zone", json!(hosts_at_once_per_zone)),
        ("terms.failure_budget", json!(failure_budget)),
        ("terms.rounds", json!(rounds)),
        ("terms.scale_in_rounds", json!(scale_in_rounds)),
        ("terms.maintenance_reply", secs(maintenance_reply)),
        ("terms.scale_in_reply", secs(scale_in_reply)),
        ("terms.min_reply", secs(min_reply)),
        ("terms.deliver_within", secs(deliver_within)),
        ("terms.settle_time", secs(settle_time)),
        ("terms.move_within", secs(move_within)),
        ("terms.service_within", secs(service_within)),
        ("terms.action_within", secs(action_within)),
        ("terms.ask_per_instance", json!(ask_per_instance)),
        ("terms.scale_in_max", json!(scale_in_max)),
        ("terms.own_host", json!(own_host)),
        ("terms.own_action_within", secs(own_action_within)),
        ("terms.ceilings.lead_time", secs(lead_time)),
        ("terms.ceilings.recovery_time", secs(recovery_time)),
        ("terms.ceilings.least_impacted", json!(least_impacted)),
        ("terms.headroom.vcpus", json!(vcpus)),
        ("terms.headroom.memory_mb", json!(memory_mb)),
        ("terms.headroom.disk_gb", json!(disk_gb)),
        ("terms.policies.silence", word(silence)),
        ("terms.policies.nack", word(nack)),
        ("terms.policies.unmanaged", word(unmanaged)),
        ("terms.policies.failed_move", word(failed_move)),
        ("terms.policies.failed_action", word(failed_action)),
        ("terms.policies.slow_live", serde_json::to_value(slow_live).unwrap_or(Value::Null)),
    ]
}

/// A value in one line. All but tables are written as in JSON.
fn in_toml(value: &Value) -> String {
    let Value::Object(fields) = value else { return value.to_string() };
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| format!("{} = {}", json!(name), in_toml(value))).collect();
    format!("{{{}}}", fields.join(", "))
}

/// The settings as a file, with a remark behind each.
pub fn as_file(settings: &[(Setting, String)]) -> Vec<String> {
    let line = |key: &str, value: &Value| match value {
        Value::Null => format!("# {key} ="),
        // What is a text in JSON is one in TOML, but for this character, which TOML wants escaped.
        value => format!("{key} = {}", in_toml(value).replace('\u{7f}', "\\u007f")),
    };
    let mut table = String::new();
    let mut rows: Vec<(String, &str)> = Vec::new();
    for ((key, value), remark) in settings {
        let (within, name) = key.rsplit_once('.').unwrap_or(("", key));
        if within != table {
            within.clone_into(&mut table);
            rows.extend([(String::new(), ""), (format!("[{within}]"), "")]);
        }
        rows.push((line(name, value), remark));
    }
    let width = rows.iter().map(|(text, _)| text.chars().count()).max().unwrap_or(0);
    let with_remark = |(text, remark): (String, &str)| {
        if remark.is_empty() { text } else { format!("{text:width$}  # {remark}") }
    };
    rows.into_iter().map(with_remark).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    #[test]
    fn what_is_shown_can_be_used_as_a_file_and_means_the_same() {
        let check = |settings: Settings| {
            let config = settings.resolve().unwrap();
            let settings: Vec<_> =
                config.settings().into_iter().map(|setting| (setting, "default".to_owned())).collect();
            let text = as_file(&settings).join("\n");
            let again = super::super::parse(&text).unwrap().resolve().unwrap();
            assert_eq!(again.settings(), config.settings(), "{text}");
        };
        check(Settings::default());
        let scratch = tempfile::tempdir().unwrap();
        let password_file = scratch.path().join("password");
        std::fs::write(&password_file, "secret").unwrap();
        let account = AccountSettings { user: "me\"".to_owned(), password_file };
        let accounts = [("registry.example:5000".to_owned(), account)].into();
        check(Settings {
            packages: PackageSettings { accounts, ..Default::default() },
            ..Settings::default()
        });
        check(Settings { plugin_dir: Some("\u{7f}\u{1}\t\"\\\u{2028}é".into()), ..Settings::default() });
    }

    #[test]
    fn every_key_of_the_example_is_shown() {
        let (lines, _) = super::super::written::written(include_str!("../../fenix.example.toml"));
        let shown = Settings::default().resolve().unwrap().settings();
        for key in lines.keys() {
            assert!(shown.iter().any(|(name, _)| name == key), "{key} is not shown");
        }
    }
}
