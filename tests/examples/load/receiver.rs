//! Receivers of messages: well, slow, and dead in two ways.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::Any;

/// A receiver needs little.
const STACK: usize = 128 * 1024;

/// What a receiver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Answers at once.
    Well,
    /// Answers after five to ten seconds.
    Slow,
    /// Takes the connection and the message, and never answers.
    Silent,
    /// Takes no connection.
    Refusing,
}

impl Kind {
    /// The beginning of its subscriptions' names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Well => "well",
            Kind::Slow => "slow",
            Kind::Silent => "silent",
            Kind::Refusing => "refusing",
        }
    }

    /// For the table.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Kind::Well => "those that are well",
            Kind::Slow => "slow ones (5 to 10 s for an answer)",
            Kind::Silent => "dead ones that never answer",
            Kind::Refusing => "dead ones that refuse the connection",
        }
    }
}

/// All receivers; they end with the process.
#[derive(Default)]
pub(crate) struct Receivers {
    disordered: Arc<AtomicUsize>,
    opened: u64,
}

impl Receivers {
    /// Opens one, and returns its URL.
    pub(crate) fn open(&mut self, kind: Kind) -> Result<String, Any> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/", listener.local_addr()?);
        self.opened += 1;
        let rest = Duration::from_millis(5000 + self.opened * 263 % 5000);
        if kind == Kind::Refusing {
            return Ok(url);
        }
        let (disordered, last) = (self.disordered.clone(), Arc::new(AtomicU64::new(0)));
        std::thread::Builder::new().stack_size(STACK).spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                let rest = match kind {
                    Kind::Silent | Kind::Refusing => {
                        kept.push(stream);
                        continue;
                    }
                    Kind::Well => Duration::ZERO,
                    Kind::Slow => rest,
                };
                let (last, disordered) = (last.clone(), disordered.clone());
                // One that cannot be started is a connection that is closed.
                drop(std::thread::Builder::new().stack_size(STACK).spawn(move || {
                    drop(serve(stream, rest, &last, &disordered));
                }));
            }
        })?;
        Ok(url)
    }

    /// How many messages came before or with one that was queued earlier; doubles count.
    pub(crate) fn disordered(&self) -> usize {
        self.disordered.load(Ordering::Relaxed)
    }
}

fn serve(stream: TcpStream, rest: Duration, last: &AtomicU64, disordered: &AtomicUsize) -> Result<(), Any> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse()?;
            }
            if line.trim_end().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let message: Value = serde_json::from_slice(&body)?;
        // One more than it is: the first has the number 0.
        let number = message["sequence"].as_str().ok_or("no sequence")?.parse::<u64>()? + 1;
        if last.swap(number, Ordering::Relaxed) >= number {
            disordered.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(rest);
        writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
}
