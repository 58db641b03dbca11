//! What a process did, read from `strace -f -yy`, and whether it said or sent anything before it was on the disk.
//!
//! A call that another thread interrupts in the trace has two lines, `<unfinished ...>` and `<... resumed>`; every other
//! call happened at its line.

use std::collections::BTreeMap;

/// Something that the server did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Wrote to the database file; the call has returned.
    Written(String),
    /// Began to sync the database file; the number tells it from others.
    SyncBegun(usize),
    /// That sync has returned; true if it succeeded.
    SyncEnded(usize, bool),
    /// Read the beginning of a request on a connection of its own port.
    Asked {
        /// The connection.
        connection: String,
        /// Its first line.
        request: String,
    },
    /// Begins to answer on that connection.
    Answered {
        /// The connection.
        connection: String,
        /// Its first line.
        answer: String,
    },
    /// Begins to have the cloud do something, as opposed to a look.
    Ordered {
        /// The host or instance.
        subject: String,
        /// All that is sent.
        text: String,
    },
    /// Begins to tell a manager something.
    Told {
        /// All that is sent.
        text: String,
    },
}

/// Where the server is told apart from others.
pub struct Ports {
    /// Its own.
    pub server: u16,
    /// The cloud's.
    pub cloud: u16,
    /// The manager's.
    pub manager: u16,
}

/// Reads a trace.
pub fn events(trace: &str, ports: &Ports) -> Vec<Event> {
    let mut events = Vec::new();
    // The calls that are under way, by thread.
    let mut open: BTreeMap<&str, (&str, Option<usize>)> = BTreeMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some((_, end)) = rest.split_once(" resumed>").filter(|_| rest.starts_with("<...")) {
            if let Some((begin, sync)) = open.remove(thread) {
                ended(begin, end, sync, ports, &mut events);
            }
        } else if let Some(begin) = rest.strip_suffix(" <unfinished ...>") {
            let sync = begun(begin, number, ports, &mut events);
            open.insert(thread, (begin, sync));
        } else {
            let sync = begun(rest, number, ports, &mut events);
            ended(rest, rest, sync, ports, &mut events);
        }
    }
    events
}

/// A call begins: whatever is sent may be with its receiver from now on.
fn begun(call: &str, number: usize, ports: &Ports, events: &mut Vec<Event>) -> Option<usize> {
    let name = call.split('(').next()?;
    match name {
        "fsync" | "fdatasync" if is_database(call) => {
            events.push(Event::SyncBegun(number));
            return Some(number);
        }
        "write" | "writev" | "sendto" | "sendmsg" => events.extend(sent(call, ports)),
        _ => {}
    }
    None
}

/// A call ends: what was written is written, what was read is known.
fn ended(begin: &str, end: &str, sync: Option<usize>, ports: &Ports, events: &mut Vec<Event>) {
    let result = end.rsplit(" = ").next().unwrap_or_default();
    if let Some(number) = sync {
        events.push(Event::SyncEnded(number, result.starts_with('0')));
    } else if begin.starts_with("pwrite64(") && is_database(begin) {
        events.push(Event::Written(begin.to_owned()));
    } else if begin.starts_with("recvfrom(") || begin.starts_with("read(") {
        let request = [end, begin].iter().find_map(|text| quoted_line(text));
        if let (Some(connection), Some(request)) = (connection(begin, ports.server), request) {
            let methods = ["POST ", "PUT ", "DELETE "];
            if methods.iter().any(|method| request.starts_with(method)) {
                events.push(Event::Asked { connection, request });
            }
        }
    }
}

fn sent(call: &str, ports: &Ports) -> Option<Event> {
    if let Some(connection) = connection(call, ports.server) {
        let answer = quoted_line(call).filter(|line| line.starts_with("HTTP/1.1 "))?;
        return Some(Event::Answered { connection, answer });
    }
    let text = call.to_owned();
    if is_to(call, ports.cloud) {
        let order = call.split("\\\"call\\\":{\\\"").nth(1)?;
        let subject = ["host", "instance"].iter().find_map(|kind| {
            let rest = order.split(&format!("\\\"{kind}\\\":\\\"")).nth(1)?;
            rest.split('\\').next().map(str::to_owned)
        });
        return (!order.starts_with("read"))
            .then(|| Event::Ordered { subject: subject.unwrap_or_default(), text });
    }
    (is_to(call, ports.manager) && call.contains("POST ")).then_some(Event::Told { text })
}

fn is_database(call: &str) -> bool {
    call.split('>').next().is_some_and(|file| file.ends_with("/sled/db"))
}

/// The connection of a call, if it is to that port of this machine.
fn connection(call: &str, port: u16) -> Option<String> {
    let ends = call.split_once("<TCP:[")?.1.split(']').next()?;
    ends.contains(&format!(":{port}->")).then(|| ends.to_owned())
}

fn is_to(call: &str, port: u16) -> bool {
    call.split_once("<TCP:[")
        .is_some_and(|(_, rest)| rest.split(']').next().unwrap_or("").ends_with(&format!(":{port}")))
}

/// The first line of the first text in a call.
fn quoted_line(call: &str) -> Option<String> {
    let text = call.split_once('"')?.1;
    text.split("\\r\\n").next().filter(|line| !line.is_empty()).map(str::to_owned)
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Commands that were answered with success.
    pub answers: usize,
    /// What the cloud was ordered to do.
    pub orders: usize,
    /// What managers were told.
    pub messages: usize,
}

/// Says what went out before it was on the disk:
///
/// * a command was answered with success, and no sync of the database both began after the command was read and
///   succeeded before the answer;
/// * the cloud was ordered to do something to a subject, and no write with an admitted effect of that subject was
///   followed by a sync that had succeeded by then;
/// * managers were told more messages than had been queued and synced.
pub fn check(events: &[Event]) -> Result<Seen, Vec<String>> {
    let mut watch = Watch::default();
    events.iter().for_each(|event| watch.see(event));
    if watch.wrong.is_empty() { Ok(watch.seen) } else { Err(watch.wrong) }
}

#[derive(Default)]
struct Watch {
    /// What was written, in order.
    written: Vec<String>,
    /// How much of it was written when a sync began.
    begun: BTreeMap<usize, (usize, u64)>,
    /// How much of it is synced.
    synced: usize,
    /// When the newest sync that succeeded had begun.
    last_sync: u64,
    now: u64,
    asked: BTreeMap<String, (u64, String)>,
    seen: Seen,
    wrong: Vec<String>,
}

impl Watch {
    fn see(&mut self, event: &Event) {
        self.now += 1;
        match event {
            Event::Written(text) => self.written.push(text.clone()),
            Event::SyncBegun(number) => drop(self.begun.insert(*number, (self.written.len(), self.now))),
            Event::SyncEnded(number, worked) => {
                if let Some((written, began)) = self.begun.remove(number).filter(|_| *worked) {
                    self.synced = self.synced.max(written);
                    self.last_sync = self.last_sync.max(began);
                }
            }
            Event::Asked { connection, request } => {
                self.asked.insert(connection.clone(), (self.now, request.clone()));
            }
            Event::Answered { connection, answer } => self.answered(connection, answer),
            Event::Ordered { subject, text } => {
                self.seen.orders += 1;
                let recorded = |text: &String| text.contains("admitted") && text.contains(subject.as_str());
                if !self.written[..self.synced].iter().any(recorded) {
                    self.wrong.push(format!("ordered before it was on the disk: {text}"));
                }
            }
            Event::Told { text } => {
                self.seen.messages += 1;
                let count = |text: &String| text.matches("\\\"queued\\\"").count();
                if self.written[..self.synced].iter().map(count).sum::<usize>() < self.seen.messages {
                    self.wrong.push(format!("told before it was on the disk: {text}"));
                }
            }
        }
    }

    fn answered(&mut self, connection: &str, answer: &str) {
        let Some((asked, request)) = self.asked.remove(connection) else { return };
        if !answer.starts_with("HTTP/1.1 2") {
            return;
        }
        self.seen.answers += 1;
        if self.last_sync <= asked {
            self.wrong.push(format!("answered before it was on the disk: {request}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports { server: 80, cloud: 90, manager: 70 };

    const ASK: &str =
        r#"1 recvfrom(5<TCP:[1.1.1.1:80->1.1.1.1:999]>, "POST /v1/maintenance HTTP/1.1\r\nHost", 8192) = 40"#;
    const ANSWER: &str = r#"1 writev(5<TCP:[1.1.1.1:80->1.1.1.1:999]>, [{iov_base="HTTP/1.1 200 OK\r\n", iov_len=17}], 1) = 17"#;
    const ADMIT: &str = r#"2 pwrite64(7</d/sled/db>, "..{\"admitted\":{\"host\":\"c1\"}}..", 99, 0) = 99"#;
    const QUEUE: &str = r#"2 pwrite64(7</d/sled/db>, "..{\"queued\":{}}..", 99, 0) = 99"#;
    const SYNC: &str = "2 fsync(7</d/sled/db>) = 0";
    const FAILED: &str = "2 fsync(7</d/sled/db>) = -1 EIO (Input/output error)";
    const OTHER: &str = "2 fsync(8</d/sled/conf>) = 0";
    const BEGIN: &str = "2 fsync(7</d/sled/db> <unfinished ...>";
    const END: &str = "2 <... fsync resumed>) = 0";
    const ORDER: &str = r#"3 sendto(9<TCP:[1.1.1.1:555->1.1.1.1:90]>, "{\"id\":2,\"call\":{\"disable\":{\"host\":\"c1\"}}}\n", 40) = 40"#;
    const LOOK: &str = r#"3 sendto(9<TCP:[1.1.1.1:555->1.1.1.1:90]>, "{\"id\":2,\"call\":{\"read_host\":{\"host\":\"c1\"}}}\n", 40) = 40"#;
    const TELL: &str = r#"3 writev(9<TCP:[1.1.1.1:556->1.1.1.1:70]>, [{iov_base="POST /maintenance HTTP/1.1\r\n"}], 1) = 40"#;

    fn judged(lines: &[&str]) -> Result<Seen, Vec<String>> {
        check(&events(&lines.join("\n"), &PORTS))
    }

    #[test]
    fn what_goes_out_after_its_sync_is_right() {
        let check = |lines: &[&str], answers, orders, messages| {
            assert_eq!(judged(lines), Ok(Seen { answers, orders, messages }), "{lines:?}");
        };
        check(&[ASK, ADMIT, SYNC, ANSWER], 1, 0, 0);
        check(&[ADMIT, SYNC, ORDER], 0, 1, 0);
        check(&[QUEUE, SYNC, TELL], 0, 0, 1);
        check(&[LOOK, LOOK], 0, 0, 0);
        check(&[ASK, ADMIT, BEGIN, LOOK, END, ANSWER, ORDER], 1, 1, 0);
        // More is being written already; what is sent was written before.
        check(&[ADMIT, SYNC, QUEUE, BEGIN, ORDER, END, TELL], 0, 1, 1);
    }

    #[test]
    fn what_goes_out_before_its_sync_is_wrong() {
        let check = |lines: &[&str], wanted: &str| {
            let wrong = judged(lines).expect_err(wanted);
            assert!(wrong.iter().any(|text| text.starts_with(wanted)), "{wrong:?}");
        };
        check(&[ASK, ADMIT, ANSWER, SYNC], "answered before");
        check(&[SYNC, ASK, ADMIT, ANSWER], "answered before");
        check(&[ASK, ADMIT, FAILED, ANSWER], "answered before");
        check(&[ASK, ADMIT, OTHER, ANSWER], "answered before");
        check(&[ASK, ADMIT, BEGIN, ANSWER, END], "answered before");
        check(&[BEGIN, ASK, ADMIT, END, ANSWER], "answered before");
        check(&[ADMIT, ORDER, SYNC], "ordered before");
        check(&[SYNC, ADMIT, ORDER], "ordered before");
        check(&[BEGIN, ADMIT, END, ORDER], "ordered before");
        check(&[QUEUE, SYNC, TELL, TELL], "told before");
    }
}
