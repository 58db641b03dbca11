//! A whole session as a listener hears of it: hosts that go and come back, and progress.

use fenix_core::id::HostId;
use fenix_core::message::{Content, Format};
use fenix_core::session::Phase;

use super::letter::{self, Change};
use super::stage::Stage;

/// Plays the session to its end.
pub(super) async fn run(stage: &mut Stage) {
    if matches!(stage.to.format, Format::CloudEvents { .. }) {
        stage.report.tried.insert("L6");
        let forged = stage.message(host(true), None);
        match letter::send(&stage.client, &stage.base, &forged, Change::Signature).await {
            Ok(401 | 403) => {}
            Ok(status) => {
                stage.report.find("L6", "a forged event", format!("answered {status}, not 401 or 403"))
            }
            Err(why) => stage.report.find("L1", "a forged event", why),
        }
    }
    let session = |state, percent| Content::Session { state, percent };
    let contents = [
        session(Phase::Maintenance, 0),
        host(true),
        host(false),
        session(Phase::PlannedMaintenance, 99),
        session(Phase::MaintenanceDone, 100),
    ];
    stage.report.tried.insert("L3");
    for (content, change) in contents
        .into_iter()
        .flat_map(|content| [Change::None, Change::Field].map(|change| (content.clone(), change)))
    {
        let wanted = stage.to.wants(content.event_type());
        let envelope = stage.message(content, None);
        let during = format!("{:?}", envelope.message.content);
        if wanted && stage.deliver(&envelope, change, &during).await {
            stage.repeat(&envelope, change, &during).await;
        }
    }
    let unknown = stage.message(host(true), None);
    match letter::send(&stage.client, &stage.base, &unknown, Change::State).await {
        Ok(200..=299 | 400..=499) => {}
        Ok(status) => stage.report.find("L3", "an unknown state", format!("answered {status}")),
        Err(why) => stage.report.find("L3", "an unknown state", why),
    }
    let last = stage.message(host(false), None);
    stage.deliver(&last, Change::None, "after an unknown state").await;
    stage.nothing_more("L5", "the whole session").await;
}

fn host(in_maintenance: bool) -> Content {
    Content::Host { host: HostId::from("compute-1"), in_maintenance }
}
