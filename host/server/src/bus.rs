//! OpenStack's message bus: notifications that Aodh makes alarms of, and that everybody else there can listen to.
//!
//! A notification counts as sent once the broker has confirmed it. Nothing is kept here: what could not be sent is
//! tried again by the engine's outbox.

use std::path::PathBuf;
use std::time::Duration;

use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

/// The address of a subscription whose messages go onto the bus.
pub const BUS: &str = "bus:";

/// The exchange if no other is named: oslo.messaging's own default.
pub const DEFAULT_EXCHANGE: &str = "openstack";

/// Topic and priority: what Ceilometer's agent and every other listener of notifications consumes (contract 2.3).
const ROUTING_KEY: &str = "notifications.info";

/// Time for a connection, with its channel and declarations, to one broker.
const CONNECT_WITHIN: Duration = Duration::from_secs(4);

/// Time for a broker's confirmation.
const CONFIRM_WITHIN: Duration = Duration::from_secs(4);

/// Survives a restart of the broker, as far as its queue does.
const PERSISTENT: u8 = 2;

/// What is written about the bus.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BusSettings {
    /// Its brokers, tried in turn: `amqp://user:password@host:5672/vhost`, or `amqps://` with TLS, or `rabbit://` as the
    /// `transport_url` of oslo.messaging, which may name several.
    pub brokers: Vec<String>,
    /// The exchange of notifications.
    pub exchange: Option<String>,
    /// True if exchange and queue survive a restart of the broker, as where `amqp_durable_queues` is set.
    pub durable: bool,
    /// Certificates of the authorities by which brokers are believed, in PEM.
    pub ca: Option<PathBuf>,
}

impl std::fmt::Debug for BusSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let BusSettings { brokers, exchange, durable, ca } = self;
        let brokers: Vec<String> = brokers.iter().map(|broker| shown(broker)).collect();
        f.debug_struct("BusSettings")
            .field("brokers", &brokers)
            .field("exchange", exchange)
            .field("durable", durable)
            .field("ca", ca)
            .finish()
    }
}

/// Why the bus cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// An address is none. It is not shown: it may hold a password.
    #[error(
        "broker {number} of `bus.brokers` is no address like amqp://user:password@host:5672/vhost: {why}"
    )]
    Address {
        /// Which, from 1.
        number: usize,
        /// What is wrong.
        why: String,
    },
    /// The file of authorities cannot be read.
    #[error("{path} cannot be read")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// An address as it may be shown: without the password.
pub fn shown(broker: &str) -> String {
    let (scheme, rest) = broker.split_once("://").unwrap_or(("", broker));
    let (account, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    let user = account.split(':').next().unwrap_or_default();
    if account.is_empty() { format!("{scheme}://{place}") } else { format!("{scheme}://{user}:***@{place}") }
}

/// A publisher of notifications.
pub struct Bus {
    brokers: Vec<AMQPUri>,
    exchange: String,
    durable: bool,
    tls: OwnedTLSConfig,
    /// The connection that is open; held while something is published, one after the other.
    link: Mutex<Option<Link>>,
}

struct Link {
    // Closes with the last that holds it.
    _connection: Connection,
    channel: Channel,
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}

impl Bus {
    /// A publisher, or none if no broker is named. Connects with the first message.
    ///
    /// # Errors
    /// An address is none, or the authorities cannot be read.
    pub fn new(settings: &BusSettings) -> Result<Option<Bus>, BusError> {
        if settings.brokers.is_empty() {
            return Ok(None);
        }
        let mut brokers = Vec::new();
        for (at, written) in settings.brokers.iter().enumerate() {
            brokers.extend(amqp(written).map_err(|why| BusError::Address { number: at + 1, why })?);
        }
        let authorities = settings.ca.as_ref().map(|path| {
            std::fs::read_to_string(path)
                .map_err(|source| BusError::Authorities { path: path.clone(), source })
        });
        Ok(Some(Bus {
            brokers,
            exchange: settings.exchange.clone().unwrap_or_else(|| DEFAULT_EXCHANGE.to_owned()),
            durable: settings.durable,
            tls: OwnedTLSConfig { identity: None, cert_chain: authorities.transpose()? },
            link: Mutex::new(None),
        }))
    }

    /// Publishes a notification. On return the broker has it.
    ///
    /// # Errors
    /// Says why the broker does not have it, or may not: to be tried again.
    pub async fn publish(&self, notification: &Value) -> Result<(), String> {
        let mut link = self.link.lock().await;
        let open = match link.take().filter(|open| open.channel.status().connected()) {
            Some(open) => open,
            None => self.connect().await?,
        };
        let sent = tokio::time::timeout(CONFIRM_WITHIN, send(&open.channel, &self.exchange, notification));
        let sent = sent.await.unwrap_or_else(|_| {
            Err(format!("the broker confirmed nothing within {} s", CONFIRM_WITHIN.as_secs()))
        });
        // After a fault nobody knows what the connection is good for.
        if sent.is_ok() {
            *link = Some(open);
        }
        sent
    }

    /// Connects, and declares what is published to.
    ///
    /// # Errors
    /// Says what is wrong with each broker, the last one's fault.
    pub async fn check(&self) -> Result<(), String> {
        self.connect().await.map(|_| ())
    }

    async fn connect(&self) -> Result<Link, String> {
        let mut why = String::new();
        for broker in &self.brokers {
            let place = format!("{}:{}", broker.authority.host, broker.authority.port);
            match tokio::time::timeout(CONNECT_WITHIN, self.open(broker)).await {
                Ok(Ok(link)) => return Ok(link),
                Ok(Err(error)) => why = format!("broker {place}: {error}"),
                Err(_) => why = format!("broker {place}: not ready within {} s", CONNECT_WITHIN.as_secs()),
            }
        }
        Err(why)
    }

    async fn open(&self, broker: &AMQPUri) -> lapin::Result<Link> {
        let properties = ConnectionProperties::default().with_connection_name("fenix".into());
        let runtime = lapin::runtime::default_runtime()?;
        let connection =
            Connection::connect_uri_with_config(broker.clone(), properties, self.tls.clone(), runtime)
                .await?;
        let channel = match self.declare(&connection, false).await {
            // It is there with other properties; whoever made it knows better, so it is taken as it is.
            Err(error) if error.is_amqp_soft_error() => self.declare(&connection, true).await?,
            declared => declared?,
        };
        Ok(Link { _connection: connection, channel })
    }

    /// Declares exchange and queue, as oslo.messaging does. A queue that Ceilometer has bound to other exchanges only
    /// gets our notifications so.
    async fn declare(&self, connection: &Connection, passive: bool) -> lapin::Result<Channel> {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let durable = self.durable && !passive;
        let exchange = || self.exchange.as_str().into();
        let options = ExchangeDeclareOptions { passive, durable, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(exchange(), ExchangeKind::Topic, options, FieldTable::default()).await?;
        let options = QueueDeclareOptions { passive, durable, ..QueueDeclareOptions::default() };
        channel.queue_declare(ROUTING_KEY.into(), options, FieldTable::default()).await?;
        let options = QueueBindOptions::default();
        channel
            .queue_bind(ROUTING_KEY.into(), exchange(), ROUTING_KEY.into(), options, FieldTable::default())
            .await?;
        Ok(channel)
    }
}

async fn send(channel: &Channel, exchange: &str, notification: &Value) -> Result<(), String> {
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_delivery_mode(PERSISTENT)
        .with_priority(0);
    let body = notification.to_string();
    let options = BasicPublishOptions::default();
    let published = channel
        .basic_publish(exchange.into(), ROUTING_KEY.into(), options, body.as_bytes(), properties)
        .await;
    let confirmation = match published {
        Ok(confirm) => confirm.await,
        Err(error) => Err(error),
    };
    match confirmation {
        Ok(confirmation) if confirmation.is_ack() => Ok(()),
        Ok(_) => Err("the broker did not take it".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The brokers of an address. oslo.messaging writes `rabbit://`, and several with commas between them. No virtual host is the
/// first one, `/`, in every form: AMQP's own would name one without a name, which RabbitMQ does not have.
fn amqp(written: &str) -> Result<Vec<AMQPUri>, String> {
    let (scheme, rest) = written.split_once("://").ok_or("it has no scheme")?;
    let (places, vhost) = rest.split_once('/').unwrap_or((rest, ""));
    let vhost = if vhost.is_empty() { "%2f" } else { vhost };
    let (scheme, places) = match scheme {
        "amqp" | "amqps" => (scheme, vec![places]),
        "rabbit" if vhost.contains('?') => {
            return Err("what follows the ? is for oslo.messaging; write amqps:// for TLS".to_owned());
        }
        "rabbit" => ("amqp", places.split(',').collect()),
        _ => return Err("it begins with neither amqp://, amqps:// nor rabbit://".to_owned()),
    };
    places.into_iter().map(|place| format!("{scheme}://{place}/{vhost}").parse()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_both_forms() {
        let check = |written: &str, hosts: &[&str], vhost: &str| {
            let brokers = amqp(written).unwrap();
            let read: Vec<&str> = brokers.iter().map(|broker| broker.authority.host.as_str()).collect();
            assert_eq!(read, hosts, "{written}");
            assert!(brokers.iter().all(|broker| broker.vhost == vhost), "{written}");
        };
        check("rabbit://u:p@broker:5672/", &["broker"], "/");
        check("rabbit://u:p@broker:5672", &["broker"], "/");
        check("rabbit://u:p@broker:5672/nova", &["broker"], "nova");
        check("rabbit://u:p@one:5672,u:p@two:5672/nova", &["one", "two"], "nova");
        check("rabbit://u:p@one:5672,u:p@two:5672", &["one", "two"], "/");
        check("amqp://u:p@broker:5672/%2f", &["broker"], "/");
        check("amqp://u:p@broker:5672/", &["broker"], "/");
        check("amqp://u:p@broker", &["broker"], "/");
        check("amqps://u:p@broker:5671/x", &["broker"], "x");
    }

    #[test]
    fn a_bad_address_is_named_without_its_password() {
        let bad = [
            "u:s3cret@broker",
            "http://u:s3cret@broker/",
            "amqp://u:s3cret@broker:port/",
            "rabbit://u:s3cret@one:5672,u:s3cret@two:port/",
            "rabbit://u:s3cret@broker/?ssl=1",
        ];
        for broker in bad {
            let settings = BusSettings { brokers: vec![broker.to_owned()], ..BusSettings::default() };
            let why = Bus::new(&settings).unwrap_err().to_string();
            assert!(why.starts_with("broker 1 of `bus.brokers`"), "{why}");
            assert!(!why.contains("s3cret"), "{why}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("amqp://u:s3cret@broker:5672/x"), "amqp://u:***@broker:5672/x");
        assert_eq!(shown("amqp://broker"), "amqp://broker");
        let settings = BusSettings { brokers: vec!["amqp://u:s3cret@b".into()], ..BusSettings::default() };
        assert!(!format!("{settings:?}").contains("s3cret"), "{settings:?}");
        assert_eq!(shown("amqp://u:s3@cret@broker"), "amqp://u:***@broker");
    }
}
