//! Ports that nobody else gets.

use tokio::net::TcpSocket;

/// A port of 127.0.0.1 that is the test's own: whoever is given its address may listen there, and listen there again after
/// a crash. While nobody does, connections are refused; a port that is merely free is soon a server of another test.
pub(crate) struct Port {
    socket: TcpSocket,
}

impl Port {
    pub(crate) fn new() -> Port {
        let socket = TcpSocket::new_v4().unwrap();
        // Bound and never listening: with this option, one other socket may be bound there too and listen.
        socket.set_reuseaddr(true).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Port { socket }
    }

    /// Its address, like `127.0.0.1:12347`.
    pub(crate) fn address(&self) -> String {
        self.socket.local_addr().unwrap().to_string()
    }
}
