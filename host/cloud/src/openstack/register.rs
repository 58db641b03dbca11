//! Fenix in Keystone's catalog, where managers of OpenStack look for it (contract row 16).

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, Fault, Service::Identity};

/// The service type that managers look for, and the name that it always had.
const KIND: &str = "maintenance";
const NAME: &str = "fenix";

/// Every interface gets the same address: managers take the public one, others may look for another.
const INTERFACES: [&str; 3] = ["public", "internal", "admin"];

#[derive(Debug, Deserialize)]
struct Services {
    services: Vec<Service>,
}

#[derive(Debug, Deserialize)]
struct Service {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Endpoints {
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    id: String,
    interface: String,
    region_id: Option<String>,
    url: String,
}

/// Has the catalog say that Fenix is at `url`; returns what was changed, a line each. Done twice, it changes nothing.
pub(super) async fn register(client: &Client, url: &str) -> Result<Vec<String>, Fault> {
    let mut changed = Vec::new();
    let known = format!("/services?type={KIND}");
    let services: Services = client.get(Identity, &known).await?;
    if services.services.is_empty() {
        let body = json!({"service": {"type": KIND, "name": NAME, "description": "Rolling maintenance"}});
        client.change(Identity, Method::POST, "/services", Some(&body)).await?;
        changed.push(format!("service {NAME} of type {KIND} made"));
    }
    let services: Services = client.get(Identity, &known).await?;
    let Some(Service { id: service }) = services.services.first() else {
        return Err(Fault::Unclear(format!("the service of type {KIND} is not there after it was made")));
    };
    let Endpoints { endpoints } = client.get(Identity, &format!("/endpoints?service_id={service}")).await?;
    let region = client.region();
    for interface in INTERFACES {
        let here = endpoints.iter().find(|endpoint| {
            endpoint.interface == interface && (region.is_none() || endpoint.region_id.as_deref() == region)
        });
        match here {
            Some(endpoint) if endpoint.url == url => {}
            Some(endpoint) => {
                let body = json!({"endpoint": {"url": url}});
                let path = format!("/endpoints/{}", endpoint.id);
                client.change(Identity, Method::PATCH, &path, Some(&body)).await?;
                changed.push(format!("{interface} endpoint {url} instead of {}", endpoint.url));
            }
            None => {
                let body = json!({"endpoint": {
                    "service_id": service, "interface": interface, "url": url, "region_id": region,
                }});
                client.change(Identity, Method::POST, "/endpoints", Some(&body)).await?;
                changed.push(format!("{interface} endpoint {url} made"));
            }
        }
    }
    Ok(changed)
}

/// Where the catalog says that Fenix is, for whoever looks for the public address.
pub(super) async fn registered(client: &Client) -> Result<Option<String>, Fault> {
    client.public_url(KIND).await
}
