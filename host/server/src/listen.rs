//! The listening side of HTTP: accepts connections, and bounds what each may cost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutWriter;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::api::access::Peer;
use crate::stop::stopped;

/// Connections at a time; further ones wait in the kernel's queue. Each may hold a small body
/// ([`crate::api::body::SMALL_BODY`]).
const MAX_CONNECTIONS: usize = 1024;

/// Time for the head of a request, and for the next request on a kept connection.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// Largest head of a request in bytes: tokens of identity services are some KiB long.
const MAX_HEAD: usize = 32 * 1024;

/// Time that requests under way get when the server is stopped.
const GRACE: Duration = Duration::from_secs(5);

/// Time for the beginning of TLS: some packets to and fro.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// Time in which a client must take some more of its answer.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// Pause after a failed accept: it fails when files run out, and does so again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// It can be reached from other machines.
    #[error("will not listen on {0}: this serves this machine only; listen on 127.0.0.1")]
    NotLoopback(SocketAddr),
    /// The system said no.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Listens on a loopback address; port 0 takes a free one.
///
/// # Errors
/// See [`ListenError`].
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    if !address.ip().is_loopback() {
        return Err(ListenError::NotLoopback(address));
    }
    bind_anywhere(address).await
}

/// Listens on any address, which others may reach; port 0 takes a free one.
///
/// # Errors
/// The system says no.
pub async fn bind_anywhere(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError::Bind { address, source })
}

/// What the server shows in TLS at the moment, for the connections to come.
pub type Shown = watch::Receiver<Arc<ServerConfig>>;

/// Serves until `stop` turns true, then lets requests under way finish for a moment. With `tls`, only in TLS.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Shown>,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = accept(&listener, &places) => accepted,
        };
        if let Some((stream, peer, place)) = accepted {
            let tls = tls.as_ref().map(|shown| TlsAcceptor::from(shown.borrow().clone()));
            let (router, stop) = (router.clone(), stop.clone());
            connections.spawn(async move {
                let _place = place;
                match tls {
                    None => connection(stream, peer, router, stop).await,
                    Some(tls) => match timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
                        Ok(Ok(stream)) => connection(stream, peer, router, stop).await,
                        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS came about"),
                        Err(_elapsed) => tracing::debug!(%peer, "no TLS came about in time"),
                    },
                }
            });
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all).await.is_err() {
        tracing::warn!("some requests did not finish within {} s", GRACE.as_secs());
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // A stream of events is many small writes, and none shall wait for the client to acknowledge the one before.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection will send in larger pieces");
            }
            Some((stream, peer, place))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip()));
        router.call(request)
    });
    // Whoever does not read what it asked for holds no connection for long.
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(TAKEN_WITHIN));
    let stream = Box::pin(stream);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Time stands still and jumps to whatever is waited for next, so this takes none.
    #[tokio::test(start_paused = true)]
    async fn whoever_takes_no_more_of_an_answer_loses_the_connection() {
        const LARGE: usize = 256 * 1024;
        let router = Router::new().route("/", get(async || "x".repeat(LARGE)));
        let (mut client, server) = tokio::io::duplex(1024);
        let (_stop, stopped) = watch::channel(false);
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let serving = tokio::spawn(connection(server, peer, router, stopped));
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        // Nothing is read until the server has given up.
        serving.await.unwrap();
        let mut taken = Vec::new();
        client.read_to_end(&mut taken).await.unwrap();
        assert!(taken.len() < LARGE, "{}", taken.len());
    }
}
