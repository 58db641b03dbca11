//! Tells a service manager how the server stands: the protocol of `sd_notify(3)`, a word in a datagram.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where the service manager says that it listens.
const SOCKET: &str = "NOTIFY_SOCKET";

/// The server listens, and goes on with every session of its journal.
pub const READY: &str = "READY=1";

/// The server was asked to stop.
pub const STOPPING: &str = "STOPPING=1";

/// Says it to the service manager, if there is one that wants to know.
pub fn say(word: &str) {
    let Some(socket) = std::env::var_os(SOCKET) else { return };
    if let Err(error) = send(&socket, word) {
        tracing::warn!(%error, socket = %socket.display(), "the service manager cannot be told that we are at {word}");
    }
}

/// Sends a word; `@` before a name means one that is in no file system.
fn send(socket: &OsStr, word: &str) -> io::Result<()> {
    let address = match socket.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        Some(_) | None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(word.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut word = [0; 64];
        let length = socket.recv(&mut word).unwrap();
        String::from_utf8(word[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_word_reaches_a_socket_with_and_without_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), READY).unwrap();
        assert_eq!(heard(&socket), READY);

        let name = format!("fenix-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(OsStr::new(&format!("@{name}")), STOPPING).unwrap();
        assert_eq!(heard(&socket), STOPPING);
    }

    #[test]
    fn nobody_who_listens_is_an_error_and_no_more() {
        assert!(send(OsStr::new("/nonexistent/notify"), READY).is_err());
    }
}
