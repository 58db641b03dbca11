//! The numbers in a specification, each held to its range before anything is made of it.

use super::setup::SpecError;
use super::spec::{
    Failures, MAX_HOSTS, MAX_INSTANCES, MAX_NAME, MAX_PER_HOUR, MAX_SPAN_MS, Others, Span, Spec, Times, Wire,
};

/// Everything with a number in it, before it is multiplied by anything.
pub(super) fn check_numbers(spec: &Spec) -> Result<(), SpecError> {
    let hosts = spec.host.len() + spec.rack.iter().map(|rack| rack.count as usize).sum::<usize>();
    within("the number of hosts", hosts, MAX_HOSTS)?;
    let instances = spec.instance.len() + spec.crowd.iter().map(|crowd| crowd.count as usize).sum::<usize>();
    within("the number of instances", instances, MAX_INSTANCES)?;
    let patterns = spec.rack.iter().flat_map(|rack| [("host", &rack.name), ("zone", &rack.zone)]);
    for (what, name) in patterns.chain(spec.crowd.iter().map(|crowd| ("instance", &crowd.name))) {
        if name.len() > MAX_NAME {
            return Err(SpecError::BadName { what, name: name.chars().take(40).collect() });
        }
    }
    let racks = spec.rack.iter().map(|rack| ("hosts", &rack.name, rack.count));
    let crowds = spec.crowd.iter().map(|crowd| ("instances", &crowd.name, crowd.count));
    for (what, name, count) in racks.chain(crowds) {
        if count > 1 && !name.contains("{}") {
            return Err(SpecError::NoNumber { what, name: name.clone(), count });
        }
    }
    check_times(&spec.times)?;
    check_failures(&spec.failures)?;
    check_wire(&spec.wire)?;
    check_others(&spec.others)?;
    for line in &spec.script {
        within("script.at_ms", line.at_ms, MAX_SPAN_MS)?;
    }
    for group in &spec.group {
        within("group.recovery_ms", group.recovery_ms, MAX_SPAN_MS)?;
    }
    Ok(())
}

fn check_times(times: &Times) -> Result<(), SpecError> {
    let Times { cold_ms, live_ms, evacuate_ms, resize_ms, boot_ms, reboot_ms } = *times;
    span("times.cold_ms", cold_ms)?;
    span("times.live_ms", live_ms)?;
    span("times.evacuate_ms", evacuate_ms)?;
    span("times.resize_ms", resize_ms)?;
    span("times.boot_ms", boot_ms)?;
    span("times.reboot_ms", reboot_ms)
}

fn check_failures(failures: &Failures) -> Result<(), SpecError> {
    let f = failures;
    let single = [
        ("failures.live_refused_quietly", f.live_refused_quietly),
        ("failures.confirm_refused", f.confirm_refused),
        ("failures.revert_breaks", f.revert_breaks),
        ("failures.evacuate_breaks", f.evacuate_breaks),
        ("failures.resize_breaks", f.resize_breaks),
        ("failures.boot_breaks", f.boot_breaks),
        ("failures.move_shows_early", f.move_shows_early),
        ("failures.crash_kills", f.crash_kills),
    ];
    for (key, value) in single {
        chances(&[(key, value)])?;
    }
    chances(&[
        ("failures.reboot_stays_down", f.reboot_stays_down),
        ("failures.reboot_kills", f.reboot_kills),
    ])?;
    chances(&[
        ("failures.cold_breaks", f.cold_breaks),
        ("failures.cold_stays", f.cold_stays),
        ("failures.cold_hangs", f.cold_hangs),
    ])?;
    chances(&[
        ("failures.live_breaks", f.live_breaks),
        ("failures.live_stays", f.live_stays),
        ("failures.live_hangs", f.live_hangs),
    ])
}

fn check_wire(wire: &Wire) -> Result<(), SpecError> {
    let Wire { lost, reply_lost, late, doubled, swallowed, stale, stale_ms, late_ms, answer_ms, timeout_ms } =
        *wire;
    let all = [
        ("wire.lost", lost),
        ("wire.reply_lost", reply_lost),
        ("wire.late", late),
        ("wire.doubled", doubled),
        ("wire.swallowed", swallowed),
        ("wire.stale", stale),
    ];
    chances(&all)?;
    within("wire.stale_ms", stale_ms, MAX_SPAN_MS)?;
    within("wire.late_ms", late_ms, MAX_SPAN_MS)?;
    within("wire.timeout_ms", timeout_ms, MAX_SPAN_MS)?;
    span("wire.answer_ms", answer_ms)
}

fn check_others(others: &Others) -> Result<(), SpecError> {
    within("others.boot_per_hour", others.boot_per_hour, MAX_PER_HOUR)?;
    within("others.delete_per_hour", others.delete_per_hour, MAX_PER_HOUR)?;
    within("others.resize_per_hour", others.resize_per_hour, MAX_PER_HOUR)?;
    within("others.move_per_hour", others.move_per_hour, MAX_PER_HOUR)?;
    within("others.stop_per_hour", others.stop_per_hour, MAX_PER_HOUR)?;
    within("others.disable_per_hour", others.disable_per_hour, MAX_PER_HOUR)?;
    within("others.enable_per_hour", others.enable_per_hour, MAX_PER_HOUR)?;
    within("others.crash_per_hour", others.crash_per_hour, MAX_PER_HOUR)
}

fn within<N: PartialOrd + std::fmt::Display>(key: &str, value: N, most: N) -> Result<(), SpecError> {
    match value <= most {
        true => Ok(()),
        false => Err(out_of_range(key, &value.to_string(), format!("at most {most}"))),
    }
}

fn span(key: &str, span: Span) -> Result<(), SpecError> {
    let (min, max) = span.ends();
    if min > max {
        return Err(out_of_range(key, &format!("{min} to {max}"), "a range from small to large".to_owned()));
    }
    within(key, max, MAX_SPAN_MS)
}

/// Probabilities of things that exclude each other.
fn chances(all: &[(&str, f64)]) -> Result<(), SpecError> {
    for (key, value) in all {
        if !(0.0..=1.0).contains(value) {
            return Err(out_of_range(key, &value.to_string(), "a probability from 0 to 1".to_owned()));
        }
    }
    let sum: f64 = all.iter().map(|(_, value)| value).sum();
    if sum > 1.0 {
        let keys: Vec<_> = all.iter().map(|(key, _)| *key).collect();
        return Err(out_of_range(&keys.join(" + "), &sum.to_string(), "at most 1".to_owned()));
    }
    Ok(())
}

fn out_of_range(key: &str, value: &str, range: String) -> SpecError {
    SpecError::OutOfRange { key: key.to_owned(), value: value.to_owned(), range }
}
