//! Delivers messages: one POST per attempt, in the form that the subscriber ordered.
//!
//! Receivers are other people's servers. They get a time limit, what they answer is read only as far as needed,
//! redirects are not followed, and no proxy stands between.

use std::time::Duration;

use fenix_core::message::Format;
use fenix_engine::event::{DeliveryError, Envelope};
use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use rustls::ClientConfig;

use crate::receivers::Receivers;
use crate::wire::payload::{Base, message_uuid};
use crate::wire::{aodh, cloudevents};

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
}

impl Courier {
    /// A courier whose messages name `base` as the address to answer to, and that goes only to `receivers`, of whom it
    /// believes those whom `tls` says.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(base: Base, receivers: Receivers, tls: ClientConfig) -> Result<Courier, reqwest::Error> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .pool_max_idle_per_host(MAX_IDLE)
            .build()?;
        Ok(Courier { client, base, receivers })
    }

    /// One attempt.
    ///
    /// # Errors
    /// `Rejected` if trying again makes no sense: a 3xx or 4xx other than 408 and 429, or an address that may not
    /// be called any more. `Unreachable` for the rest.
    pub(crate) async fn deliver(&self, envelope: &Envelope) -> Result<(), DeliveryError> {
        let url = &envelope.subscription.url;
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
    use super::*;

    #[test]
    fn a_refusal_is_final_unless_it_says_that_it_is_not() {
        for status in [301, 302, 307, 400, 401, 403, 404, 405, 410, 413, 415, 422, 451] {
            assert!(is_final(StatusCode::from_u16(status).unwrap()), "{status}");
        }
        for status in [100, 408, 429, 500, 502, 503, 504] {
            assert!(!is_final(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }
}
