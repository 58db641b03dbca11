//! A headless Chromium, spoken to over its debugging pipe: no driver, no port, no library.

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::PATIENCE;

/// The names that the browser goes by.
const NAMES: [&str; 4] = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

/// The pipe is file descriptors 3 and 4 of the browser. It runs as whoever runs the tests, perhaps root in a container,
/// where it cannot set its sandbox up; it sees pages of the server under test only.
const START: &str = "exec \"$0\" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
    --disable-background-networking --remote-debugging-pipe --user-data-dir=\"$1\" \
    3<&0 4>&1 </dev/null >/dev/null 2>&1";

/// A browser with one tab.
pub(crate) struct Browser {
    process: Child,
    requests: RefCell<ChildStdin>,
    messages: Receiver<Value>,
    last: Cell<u64>,
    tab: String,
    complaints: RefCell<Vec<String>>,
    _profile: TempDir,
}

impl Browser {
    /// Starts one.
    pub(crate) fn start() -> Browser {
        let found = |name: &&&str| {
            Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
        };
        let name = NAMES.iter().find(found).unwrap_or_else(|| {
            panic!("there is no browser: `make browser` installs one; looked for {}", NAMES.join(", "))
        });
        let profile = TempDir::new().unwrap();
        let mut process = Command::new("sh")
            .args(["-c", START, name])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, messages) = mpsc::channel();
        std::thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                // Nobody listens any more at the end.
                drop(sender.send(serde_json::from_slice(&message).unwrap()));
            }
        });
        let mut browser = Browser {
            requests: RefCell::new(process.stdin.take().unwrap()),
            process,
            messages,
            last: Cell::new(0),
            tab: String::new(),
            complaints: RefCell::default(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let tab = browser.call("Target.attachToTarget", target);
        tab["sessionId"].as_str().unwrap().clone_into(&mut browser.tab);
        for domain in ["Runtime.enable", "Log.enable", "Page.enable"] {
            browser.call(domain, json!({}));
        }
        let size = json!({ "width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        browser.call("Emulation.setDeviceMetricsOverride", size);
        browser
    }

    /// Makes one call, and returns its result.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, params: Value) -> Value {
        self.ask(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Makes one call that may fail.
    #[track_caller]
    fn ask(&self, method: &str, params: Value) -> Result<Value, Value> {
        let id = self.last.get() + 1;
        self.last.set(id);
        let mut request = json!({ "id": id, "method": method, "params": params });
        if !self.tab.is_empty() {
            request["sessionId"] = json!(self.tab);
        }
        self.requests.borrow_mut().write_all(format!("{request}\0").as_bytes()).unwrap();
        loop {
            let mut message = self
                .messages
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|error| panic!("{method} {params}: {error}; {:?}", self.complaints.borrow()));
            if message["id"] == id {
                let error = message["error"].take();
                return if error.is_null() { Ok(message["result"].take()) } else { Err(error) };
            }
            self.hear(&message);
        }
    }

    fn hear(&self, message: &Value) {
        let params = &message["params"];
        let complaint = match message["method"].as_str() {
            Some("Runtime.consoleAPICalled") if params["type"] == "error" => &params["args"],
            Some("Runtime.exceptionThrown") => &params["exceptionDetails"],
            Some("Log.entryAdded") if params["entry"]["level"] == "error" => &params["entry"],
            _ => return,
        };
        self.complaints.borrow_mut().push(complaint.to_string());
    }

    /// What the page and the browser complained about since the last time.
    pub(crate) fn complaints(&self) -> Vec<String> {
        // Whatever was said before this call is in by its answer.
        self.eval("0");
        self.complaints.take()
    }

    /// Opens a page.
    pub(crate) fn open(&self, url: &str) {
        let reply = self.call("Page.navigate", json!({ "url": url }));
        assert!(reply["errorText"].is_null(), "{reply}");
        self.wait("document.readyState === 'complete'");
    }

    /// The value of an expression in the page; promises are awaited.
    #[track_caller]
    pub(crate) fn eval(&self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut reply = self.call("Runtime.evaluate", params);
        assert!(reply["exceptionDetails"].is_null(), "{expression}: {}", reply["exceptionDetails"]);
        reply["result"]["value"].take()
    }

    /// Waits until an expression is true, as long as anything here may take.
    #[track_caller]
    pub(crate) fn wait(&self, condition: &str) {
        let expression = format!(
            "new Promise((done) => {{
                const begun = performance.now();
                const look = () => {{
                    if ({condition}) done(true);
                    else if (performance.now() - begun > 5000) done(false);
                    else setTimeout(look, 20);
                }};
                look();
            }})"
        );
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let begun = Instant::now();
        loop {
            match self.ask("Runtime.evaluate", params.clone()) {
                Ok(reply) if reply["result"]["value"] == true => return,
                // The page was left while we waited, for another one or for itself.
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{condition}: {error}"),
                Ok(_) if begun.elapsed() < PATIENCE => {}
                Ok(_) => {
                    let text = self.eval("document.body.innerText");
                    panic!(
                        "{condition} did not come true; {:?}; the page:\n{text}",
                        self.complaints.borrow()
                    );
                }
            }
        }
    }

    /// Clicks on what a selector finds, where it is, with a mouse.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        let selector = json!(selector);
        let middle = self.eval(&format!(
            "(() => {{
                const found = document.querySelector({selector});
                found.scrollIntoView({{ block: 'center' }});
                const {{ x, y, width, height }} = found.getBoundingClientRect();
                return {{ x: x + width / 2, y: y + height / 2 }};
            }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let mut event = json!({ "type": kind, "button": "left", "clickCount": 1 });
            event["x"] = middle["x"].clone();
            event["y"] = middle["y"].clone();
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Keeps a picture of the page, for people to look at: `page-NAME.png` in the target directory's `tmp`.
    pub(crate) fn picture(&self, name: &str) {
        let picture =
            self.call("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": true }));
        write(&format!("page-{name}.png"), &base64(picture["data"].as_str().unwrap()));
    }

    /// Presses a key.
    pub(crate) fn press(&self, key: &str) {
        for kind in ["rawKeyDown", "keyUp"] {
            let params = json!({ "type": kind, "key": key, "code": key });
            self.call("Input.dispatchKeyEvent", params);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Leaves a file in the target directory's `tmp`.
pub(crate) fn write(name: &str, bytes: &[u8]) {
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), bytes).unwrap();
}

/// The bytes behind a text in base64, as the browser writes it.
fn base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|c| *c != b'=').map(digit).collect();
    let whole = |four: &[u8]| {
        four.iter().fold(0, |sum, digit| sum << 6 | u32::from(*digit)) << (6 * (4 - four.len()))
    };
    digits.chunks(4).flat_map(|four| whole(four).to_be_bytes()[1..four.len()].to_vec()).collect()
}
