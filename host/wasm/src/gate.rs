//! The one gate in front of every capability: what a component may use.

use std::cell::Cell;
use std::collections::BTreeSet;

use fenix_core::grant::Right;
use fenix_core::http_rule::{HttpCall, HttpRule};
use fenix_core::remote::RemoteRule;

use crate::limits;
use crate::text::clean;

/// What one component may use in one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    /// What it asked for.
    pub(crate) asked: Vec<Right>,
    /// What an administrator granted to it.
    pub(crate) granted: Vec<Right>,
    /// How often it was refused something.
    pub(crate) refusals: Cell<u64>,
}

impl Gate {
    /// Lets a function of a capability be used.
    ///
    /// # Errors
    /// Names what is missing, and who can give it.
    pub(crate) fn open(&self, right: &Right, function: &str) -> Result<(), String> {
        let what = format!("{right}.{function}");
        if !self.asked.contains(right) {
            return Err(self.unasked(&what, right.word()));
        }
        if !self.granted.contains(right) {
            return Err(self.ungranted(&what, right.word()));
        }
        Ok(())
    }

    /// Lets a command be run.
    ///
    /// # Errors
    /// Names the command, and who can allow it.
    pub(crate) fn open_command(&self, argv: &[String]) -> Result<(), String> {
        let what = format!("remote.start of {}", clean(&argv.join(" "), limits::REASON_BYTES));
        let allows = |rights: &[Right]| commands(rights).any(|rule| rule.allows(argv));
        match (allows(&self.asked), allows(&self.granted)) {
            (false, _) => Err(self.unasked(&what, "it")),
            (true, false) => Err(self.ungranted(&what, "it")),
            (true, true) => Ok(()),
        }
    }

    /// Lets what was started be looked after.
    ///
    /// # Errors
    /// Says that nothing could be started.
    pub(crate) fn open_commands(&self, function: &str) -> Result<(), String> {
        let what = format!("remote.{function}");
        if commands(&self.asked).next().is_none() {
            return Err(self.unasked(&what, "any command"));
        }
        if commands(&self.granted).next().is_none() {
            return Err(self.ungranted(&what, "any command"));
        }
        Ok(())
    }

    /// Lets a call over HTTP be made, and says which secrets may go along.
    ///
    /// # Errors
    /// Names the call, and who can allow it.
    pub(crate) fn open_http(&self, call: HttpCall<'_>) -> Result<Vec<String>, String> {
        let HttpCall { method, scheme, host, port, path } = call;
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let what = format!("http.send of {method} {scheme}://{host}{port}{path}");
        if rules(&self.asked).all(|rule| !rule.allows(call)) {
            return Err(self.unasked(&what, "it"));
        }
        let mut granted = rules(&self.granted).filter(|rule| rule.allows(call)).peekable();
        if granted.peek().is_none() {
            return Err(self.ungranted(&what, "it"));
        }
        let secrets: BTreeSet<&String> = granted.flat_map(HttpRule::secrets).collect();
        Ok(secrets.into_iter().cloned().collect())
    }

    /// Counts that something was refused, and why.
    pub(crate) fn refused(&self, why: String) -> String {
        self.refusals.set(self.refusals.get() + 1);
        why
    }

    fn unasked(&self, what: &str, right: &str) -> String {
        self.refused(format!("{what}: the plug-in did not ask for {right}"))
    }

    fn ungranted(&self, what: &str, right: &str) -> String {
        self.refused(format!("{what}: no administrator has granted {right} to it; `fenix plugin grant` does"))
    }
}

fn rules(rights: &[Right]) -> impl Iterator<Item = &HttpRule> {
    rights.iter().filter_map(|right| match right {
        Right::Http(rule) => Some(rule),
        Right::Cloud | Right::Packages | Right::Kv | Right::Remote(_) => None,
    })
}

fn commands(rights: &[Right]) -> impl Iterator<Item = &RemoteRule> {
    rights.iter().filter_map(|right| match right {
        Right::Remote(rule) => Some(rule),
        Right::Cloud | Right::Packages | Right::Kv | Right::Http(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(asked: &[Right], granted: &[Right]) -> Gate {
        Gate { asked: asked.to_vec(), granted: granted.to_vec(), refusals: Cell::new(0) }
    }

    #[test]
    fn neither_what_is_asked_for_nor_what_is_granted_is_enough() {
        let check = |asked: &[Right], granted: &[Right], expected: Result<(), &str>| match (
            gate(asked, granted).open(&Right::Cloud, "host"),
            expected,
        ) {
            (Ok(()), Ok(())) => {}
            (Err(why), Err(part)) => {
                assert!(why.starts_with("cloud.host: ") && why.contains(part), "{why}");
            }
            other => panic!("{asked:?} {granted:?}: {other:?}"),
        };
        let (cloud, packages) = ([Right::Cloud], [Right::Packages]);
        check(&cloud, &Right::PLAIN, Ok(()));
        check(&Right::PLAIN, &cloud, Ok(()));
        check(&cloud, &[], Err("no administrator has granted cloud"));
        check(&cloud, &packages, Err("no administrator has granted cloud"));
        check(&[], &cloud, Err("did not ask for cloud"));
        check(&packages, &Right::PLAIN, Err("did not ask for cloud"));
    }

    #[test]
    fn a_call_over_http_needs_both_and_takes_the_secrets_of_the_grants_that_let_it_pass() {
        let http = |rule: &str| Right::Http(rule.parse().unwrap());
        let check = |asked: &[Right], granted: &[Right], expected: Result<&[&str], &str>| {
            let call =
                HttpCall { method: "POST", scheme: "https", host: "a.example", port: None, path: "/v1/x" };
            match (gate(asked, granted).open_http(call), expected) {
                (Ok(secrets), Ok(expected)) => assert_eq!(secrets, expected),
                (Err(why), Err(part)) => {
                    assert!(why.starts_with("http.send of POST https://a.example/v1/x: "), "{why}");
                    assert!(why.contains(part), "{why}");
                }
                other => panic!("{asked:?} {granted:?}: {other:?}"),
            }
        };
        let any = [http("GET,POST https://*/* with stolen")];
        check(&any, &[http("POST https://a.example/v1/*")], Ok(&[]));
        check(
            &any,
            &[
                http("POST https://a.example/* with b,a"),
                http("POST https://a.example/v1/* with a,c"),
                http("POST https://b.example/* with other"),
            ],
            Ok(&["a", "b", "c"]),
        );
        check(&any, &[http("GET https://a.example/*")], Err("no administrator has granted it"));
        check(&any, &[], Err("no administrator"));
        check(&[http("POST https://b.example/*")], &any, Err("did not ask for it"));
        check(&[Right::Cloud], &any, Err("did not ask for it"));
    }

    #[test]
    fn a_command_needs_both_and_is_looked_after_by_whoever_could_start_one() {
        let remote = |rule: &str| Right::Remote(rule.parse().unwrap());
        let check = |asked: &[Right], granted: &[Right], started: Option<&str>, polled: Option<&str>| {
            let gate = gate(asked, granted);
            let argv = ["apt-get", "install", "x"].map(str::to_owned);
            let refused = |result: Result<(), String>, expected: Option<&str>| match (result, expected) {
                (Ok(()), None) => {}
                (Err(why), Some(part)) => assert!(why.starts_with("remote.") && why.contains(part), "{why}"),
                other => panic!("{asked:?} {granted:?}: {other:?}"),
            };
            refused(gate.open_command(&argv), started);
            refused(gate.open_commands("poll"), polled);
        };
        let (any, install) = ([remote("**")], [remote("apt-get install *"), remote("true")]);
        check(&any, &install, None, None);
        check(&install, &any, None, None);
        check(
            &any,
            &install[1..],
            Some("remote.start of apt-get install x: no administrator has granted it"),
            None,
        );
        check(&install[1..], &any, Some("did not ask for it"), None);
        check(
            &any,
            &[Right::Cloud],
            Some("no administrator"),
            Some("remote.poll: no administrator has granted any command"),
        );
        check(&[], &any, Some("did not ask"), Some("did not ask for any command"));
    }
}
