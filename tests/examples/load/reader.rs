//! Readers of `GET /v1/events`, each a connection and a thread.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Any;

/// A reader needs little.
const STACK: usize = 128 * 1024;

/// How long a slow reader rests after each line.
const REST: Duration = Duration::from_millis(50);

/// What one reader heard.
pub(crate) struct Heard {
    pub(crate) slow: bool,
    /// The number of each event, and when it came, in milliseconds since 1970.
    pub(crate) events: Vec<(u64, u64)>,
    /// How often it was told that it missed something.
    pub(crate) missed: usize,
}

impl Heard {
    /// True if the numbers of its events grew.
    pub(crate) fn in_order(&self) -> bool {
        self.events.windows(2).all(|pair| pair[0].0 < pair[1].0)
    }
}

/// All readers.
pub(crate) struct Readers {
    streams: Vec<TcpStream>,
    threads: Vec<JoinHandle<Heard>>,
}

/// The wall clock, as the server's journal has it.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

impl Readers {
    /// Opens so many, of which the first `slow` are slow.
    pub(crate) fn open(url: &str, count: usize, slow: usize) -> Result<Readers, Any> {
        let address = url.strip_prefix("http://").ok_or("no http URL")?;
        let mut readers = Readers { streams: Vec::new(), threads: Vec::new() };
        for number in 0..count {
            let mut stream = TcpStream::connect(address)?;
            write!(stream, "GET /v1/events HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
            readers.streams.push(stream.try_clone()?);
            let mut lines = BufReader::new(stream);
            let mut first = String::new();
            lines.read_line(&mut first)?;
            if !first.starts_with("HTTP/1.1 200") {
                return Err(format!("reader {number}: {first}").into());
            }
            let run = move || read(lines, number < slow);
            readers.threads.push(std::thread::Builder::new().stack_size(STACK).spawn(run)?);
        }
        Ok(readers)
    }

    /// Ends them, and returns what each heard.
    pub(crate) fn close(self) -> Vec<Heard> {
        for stream in &self.streams {
            // The server may have ended it before.
            drop(stream.shutdown(Shutdown::Both));
        }
        self.threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    }
}

fn read(mut lines: BufReader<TcpStream>, slow: bool) -> Heard {
    let mut heard = Heard { slow, events: Vec::new(), missed: 0 };
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return heard,
            Ok(_) => {}
        }
        let id = line.strip_prefix(b"id: ").and_then(|text| std::str::from_utf8(text).ok());
        if let Some(id) = id.and_then(|text| text.trim().parse().ok()) {
            heard.events.push((id, now()));
            if slow {
                std::thread::sleep(REST);
            }
        } else if line.starts_with(b"event: missed") {
            heard.missed += 1;
        }
    }
}
