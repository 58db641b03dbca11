//! What an action that tells somebody something says as a gate.

use fenix_sdk::action::{Opening, Pause, Progress};

/// The gate opens once it is told; `who` is waited for until then.
pub fn opening(told: Progress, who: &str) -> Opening {
    match told {
        Progress::Done(report) => Opening::Go(report),
        Progress::Again(again) => Opening::Wait(Pause { why: format!("{who} is not told yet"), again }),
    }
}

#[cfg(test)]
mod tests {
    use fenix_sdk::action::Again;

    use super::*;

    #[test]
    fn it_opens_once_it_is_told() {
        let again = Again { after_ms: 5, checkpoint: "x".to_owned(), percent: 10 };
        let Opening::Wait(pause) = opening(Progress::Again(again), "Vitrage") else { panic!() };
        assert_eq!((pause.why.as_str(), pause.again.after_ms), ("Vitrage is not told yet", 5));
        assert!(
            matches!(opening(Progress::Done("told".to_owned()), "Vitrage"), Opening::Go(why) if why == "told")
        );
    }
}
