//! Delivers messages: one POST per attempt, in the form that the subscriber ordered.
//!
//! Receivers are other people's servers. They get a time limit, what they answer is read only as far as needed,
//! redirects are not followed, and no proxy stands between. What a receiver's name stands for is looked at when a
//! connection is made, which goes to that very address: see [`crate::receivers`].

use std::time::Duration;

use fenix_core::message::Format;
use fenix_engine::event::{DeliveryError, Envelope};
use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use rustls::ClientConfig;

use crate::bus::{BUS, Bus};
use crate::receivers::Receivers;
use crate::shell::names::{Checked, Lookup, system};
use crate::wire::payload::{Base, message_uuid};
use crate::wire::{aodh, cloudevents, oslo};

/// Time to connect: longer means that nobody is there.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Time that a receiver may take for one message. Managers of the earlier Fenix do their work, scaling included,
/// before they answer the request that told them of it; cut off, they would be told twice.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Bytes of a refusal that are kept for people.
const MAX_REFUSAL: usize = 200;

/// Idle connections kept per receiver: messages to one receiver go one after the other.
const MAX_IDLE: usize = 1;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// Delivers messages.
#[derive(Debug)]
pub struct Courier {
    client: Client,
    base: Base,
    receivers: Receivers,
    bus: Option<Bus>,
}

impl Courier {
    /// A courier whose messages name `base` as the address to answer to, and that goes only to `receivers`, of whom it
    /// believes those whom `tls` says.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(base: Base, receivers: Receivers, tls: ClientConfig) -> Result<Courier, reqwest::Error> {
        Self::with_names(base, receivers, tls, system)
    }

    fn with_names(
        base: Base,
        receivers: Receivers,
        tls: ClientConfig,
        lookup: Lookup,
    ) -> Result<Courier, reqwest::Error> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Checked { receivers: receivers.clone(), lookup })
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .pool_max_idle_per_host(MAX_IDLE)
            .build()?;
        Ok(Courier { client, base, receivers, bus: None })
    }

    /// The same with a bus for the messages that go there.
    #[must_use]
    pub fn with_bus(self, bus: Option<Bus>) -> Courier {
        Courier { bus, ..self }
    }

    /// One attempt.
    ///
    /// # Errors
    /// `Rejected` if trying again makes no sense: a 3xx or 4xx other than 408 and 429, or an address that may not
    /// be called any more. `Unreachable` for the rest.
    pub(crate) async fn deliver(&self, envelope: &Envelope) -> Result<(), DeliveryError> {
        let url = &envelope.subscription.url;
        if url == BUS {
            return self.publish(envelope).await;
        }
        self.receivers.check(url).map_err(DeliveryError::Rejected)?;
        let id = message_uuid(&envelope.session, envelope.message.id);
        let request = self.client.post(url).header(REQUEST_ID, format!("req-{id}"));
        let request = write(request, &self.base, envelope);
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let text = format!("{status}{}", beginning(response).await);
        if is_final(status) {
            Err(DeliveryError::Rejected(text))
        } else {
            Err(DeliveryError::Unreachable(text))
        }
    }
}

impl Courier {
    async fn publish(&self, envelope: &Envelope) -> Result<(), DeliveryError> {
        // It may come back with the configuration.
        let none = || DeliveryError::Unreachable("no message bus is configured: `bus.brokers`".to_owned());
        let bus = self.bus.as_ref().ok_or_else(none)?;
        let notification = oslo::notification(&self.base, envelope);
        bus.publish(&notification).await.map_err(DeliveryError::Unreachable)
    }
}

/// Gives a request the message as its body.
fn write(request: RequestBuilder, base: &Base, envelope: &Envelope) -> RequestBuilder {
    match &envelope.subscription.format {
        Format::Aodh => {
            request.header(CONTENT_TYPE, aodh::CONTENT_TYPE).body(aodh::body(base, envelope).to_string())
        }
        Format::CloudEvents { secret } => {
            let body = cloudevents::body(base, envelope).to_string();
            request
                .header(CONTENT_TYPE, cloudevents::CONTENT_TYPE)
                .header(cloudevents::SIGNATURE, cloudevents::signature(secret, body.as_bytes()))
                .body(body)
        }
    }
}

fn is_final(status: StatusCode) -> bool {
    let again = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    (status.is_redirection() || status.is_client_error()) && !again
}

/// What went wrong, without the address: the subscription names it.
fn unreachable(error: &reqwest::Error) -> DeliveryError {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let root = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    let text = match (error.is_timeout(), error.is_connect()) {
        (true, true) => format!("no connection within {} s", CONNECT_WITHIN.as_secs()),
        (true, false) => format!("no answer within {} s", ANSWER_WITHIN.as_secs()),
        (false, _) => root,
    };
    DeliveryError::Unreachable(text)
}

/// The beginning of a refusal's body, fit for a log: ` ` and the text, or nothing.
async fn beginning(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_REFUSAL {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk[..chunk.len().min(MAX_REFUSAL - bytes.len())]),
            Ok(None) | Err(_) => break,
        }
    }
    let text: String =
        String::from_utf8_lossy(&bytes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use axum::Router;
    use axum::http::HeaderMap;
    use axum::routing::post;
    use fenix_core::id::MessageId;
    use fenix_core::message::{Content, Message, Subscription};
    use fenix_core::time::Time;
    use tokio::sync::watch;

    use super::*;
    use crate::config::loopback;
    use crate::listen;
    use crate::shell::names::Looking;
    use crate::tls::{self, Trust};

    #[test]
    fn a_refusal_is_final_unless_it_says_that_it_is_not() {
        for status in [301, 302, 307, 400, 401, 403, 404, 405, 410, 413, 415, 422, 451] {
            assert!(is_final(StatusCode::from_u16(status).unwrap()), "{status}");
        }
        for status in [100, 408, 429, 500, 502, 503, 504] {
            assert!(!is_final(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }

    /// Names as somebody might set them who wants the server to call itself, or a metadata service.
    fn names(name: String) -> Looking {
        let addresses: &[&str] = match name.as_str() {
            "good.example" | "localhost" => &["127.0.0.1"],
            "inside.example" => &["127.0.0.1", "::1"],
            "metadata.example" => &["169.254.169.254", "fe80::1"],
            "mixed.example" => &["169.254.169.254", "127.0.0.1"],
            _ => &[],
        };
        let read: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Box::pin(async { Ok(read) })
    }

    fn envelope(url: String) -> Envelope {
        Envelope {
            session: "s".into(),
            message: Message {
                id: MessageId(0),
                to: "m".into(),
                content: Content::ActionDone("i".into()),
                queued_at: Time(0),
                not_before: Time(0),
                valid_until: Time(1),
            },
            subscription: Subscription {
                id: "m".into(),
                project: "p".into(),
                event_type: "*".into(),
                url,
                format: Format::Aodh,
            },
            ask: None,
            reply_at: None,
            actions_at: None,
            metadata: String::new(),
        }
    }

    /// Delivers to that host under a list of what is allowed; the host that the receiver was called by.
    async fn deliver(list: &[&str], host: &str) -> Result<String, DeliveryError> {
        let socket = listen::bind(loopback(0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let (called, hears) = watch::channel(String::new());
        let take = move |headers: HeaderMap| async move {
            called.send_replace(headers["host"].to_str().unwrap().to_owned());
        };
        let (_stop, stopped) = watch::channel(false);
        tokio::spawn(listen::serve(socket, Router::new().route("/", post(take)), None, stopped));
        let receivers = Receivers::new(list.iter().map(|entry| (*entry).to_owned())).unwrap();
        let (base, tls) = (Base::new("http://127.0.0.1:1").unwrap(), tls::client(&Trust::Nobody).unwrap());
        let courier = Courier::with_names(base, receivers, tls, names).unwrap();
        let result = courier.deliver(&envelope(format!("http://{host}:{port}/"))).await;
        let heard = hears.borrow().replace(&format!(":{port}"), "");
        assert_eq!(result.is_ok(), !heard.is_empty(), "{host}");
        result.map(|()| heard)
    }

    #[tokio::test]
    async fn a_connection_goes_to_an_address_that_was_checked_and_to_no_other() {
        for (list, host) in [
            (&["good.example", "127.0.0.0/8"][..], "good.example"),
            (&["mixed.example", "127.0.0.1"], "mixed.example"),
            (&[], "localhost"),
            (&[], "127.0.0.1"),
        ] {
            assert_eq!(deliver(list, host).await, Ok(host.to_owned()), "{list:?}");
        }
    }

    #[tokio::test]
    async fn a_name_that_stands_for_what_was_not_allowed_is_not_called() {
        for (list, host, expected) in [
            (&["inside.example"][..], "inside.example", "inside.example is 127.0.0.1 now"),
            (&["metadata.example"], "metadata.example", "metadata.example is 169.254.169.254 now"),
            (&["mixed.example"], "mixed.example", "mixed.example is 169.254.169.254 now"),
            (&["nobody.example"], "nobody.example", "nobody.example stands for no address"),
        ] {
            let result = deliver(list, host).await;
            let refused = matches!(&result, Err(DeliveryError::Unreachable(why)) if why.contains(expected));
            assert!(refused, "{host}: {result:?}");
        }
        let listed_no_more = deliver(&["other.example"], "good.example").await;
        assert!(matches!(listed_no_more, Err(DeliveryError::Rejected(_))), "{listed_no_more:?}");
    }

    #[tokio::test]
    async fn a_receiver_with_https_is_called_if_its_certificate_is_believed() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let [certificate, key] = ["server.pem", "server.key"].map(|name| dir.path().join(name));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let shown = tls::server(&tls::Files { certificate: certificate.clone(), key }).unwrap();
        let (_sender, shown) = watch::channel(shown);
        let (_stop, stopped) = watch::channel(false);
        let socket = listen::bind(loopback(0)).await.unwrap();
        let url = format!("https://localhost:{}/", socket.local_addr().unwrap().port());
        let router = Router::new().route("/", post(async || {}));
        tokio::spawn(listen::serve(socket, router, Some(shown), stopped));
        for (trust, believed) in [(Trust::File(certificate), true), (Trust::Nobody, false)] {
            let (base, tls) = (Base::new("http://127.0.0.1:1").unwrap(), tls::client(&trust).unwrap());
            let courier = Courier::with_names(base, Receivers::default(), tls, names).unwrap();
            let result = courier.deliver(&envelope(url.clone())).await;
            assert_eq!(result.is_ok(), believed, "{trust:?}: {result:?}");
            assert!(!matches!(result, Err(DeliveryError::Rejected(_))), "it may be mended: {result:?}");
        }
    }
}
