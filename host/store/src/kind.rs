//! The stored form of each kind of record, and the way from older forms to it.
//!
//! A kind's form is the JSON that its [`Body`] variant serializes to. **Whoever changes that JSON**, in the variant
//! or in a type inside it, raises the kind's version in the table below, adds an `Upcast` from the version before,
//! and lets the fixture test write a fixture of the new version; the fixtures of released versions stay for ever.
//! A new variant of `Body` gets a new line here, which the compiler asks for.

use serde_json::Value;

use fenix_core::record::Body;

/// The name and version of a stored form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The kind's name: the tag of the variant's JSON.
    pub kind: &'static str,
    /// Counts the changes of its JSON, from 1.
    pub version: u16,
}

/// One step from an older form to a newer one. It may rename the kind.
pub(crate) struct Upcast {
    /// The form that it reads.
    pub from: Form,
    /// The form that it makes.
    pub to: Form,
    /// Rewrites the whole body, tag included; an error says in a few words what it missed.
    pub step: fn(Value) -> Result<Value, String>,
}

/// The forms that a build of Fenix knows.
pub(crate) struct Forms {
    /// The forms that are written today, one per kind.
    pub current: &'static [Form],
    /// The steps from all older forms.
    pub upcasts: &'static [Upcast],
}

/// Why a form cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FormError {
    /// This build knows no such kind, or not that version of it: a newer one wrote it.
    Unknown {
        /// The newest version that this build knows; `None` if it does not know the kind at all.
        known: Option<u16>,
    },
    /// A step did not find what it needs.
    Upcast {
        /// The version that the step reads.
        from: u16,
        /// What it missed.
        why: String,
    },
}

impl Forms {
    /// Brings a body of an older form to the newest one. Does nothing to a body of the newest form.
    pub(crate) fn upcast(&self, kind: &str, version: u16, mut body: Value) -> Result<Value, FormError> {
        let (mut kind, mut version) = (kind, version);
        // Each step can be taken at most once, so a wrong table cannot keep us here.
        for _ in 0..=self.upcasts.len() {
            if self.is_current(kind, version) {
                return Ok(body);
            }
            let Some(upcast) = self.upcasts.iter().find(|u| u.from.kind == kind && u.from.version == version)
            else {
                return Err(FormError::Unknown { known: self.known(kind) });
            };
            body = (upcast.step)(body).map_err(|why| FormError::Upcast { from: version, why })?;
            (kind, version) = (upcast.to.kind, upcast.to.version);
        }
        Err(FormError::Unknown { known: self.known(kind) })
    }

    /// True if that is the form that is written today.
    pub(crate) fn is_current(&self, kind: &str, version: u16) -> bool {
        self.current.iter().any(|form| form.kind == kind && form.version == version)
    }

    fn known(&self, kind: &str) -> Option<u16> {
        self.current.iter().find(|form| form.kind == kind).map(|form| form.version)
    }
}

macro_rules! forms {
    ($($variant:pat => $kind:literal v $version:literal,)*) => {
        /// The forms of this build.
        pub(crate) static FORMS: Forms =
            Forms { current: &[$(Form { kind: $kind, version: $version }),*], upcasts: UPCASTS };

        /// The form in which a body is written.
        pub fn form_of(body: &Body) -> Form {
            match body {
                $($variant => Form { kind: $kind, version: $version },)*
            }
        }
    };
}

forms! {
    Body::Observed { .. } => "observed" v 1,
    Body::Subscribed { .. } => "subscribed" v 1,
    Body::Unsubscribed { .. } => "unsubscribed" v 1,
    Body::Constrained { .. } => "constrained" v 1,
    Body::Unconstrained { .. } => "unconstrained" v 1,
    Body::PluginAttached { .. } => "plugin_attached" v 1,
    Body::PluginDetached { .. } => "plugin_detached" v 1,
    Body::Granted { .. } => "granted" v 1,
    Body::Revoked { .. } => "revoked" v 1,
    Body::PackageKept { .. } => "package_kept" v 1,
    Body::PackageDropped { .. } => "package_dropped" v 1,
    Body::TemplateSaved { .. } => "template_saved" v 1,
    Body::TemplateRemoved { .. } => "template_removed" v 1,
    Body::QuarantineCleared { .. } => "quarantine_cleared" v 1,
    Body::Commanded { .. } => "commanded" v 1,
    Body::Opened { .. } => "opened" v 1,
    Body::PackageWanted { .. } => "package_wanted" v 1,
    Body::PackageFetched { .. } => "package_fetched" v 1,
    Body::PluginsPinned { .. } => "plugins_pinned" v 1,
    Body::HostJoined { .. } => "host_joined" v 1,
    Body::ProjectJoined { .. } => "project_joined" v 1,
    Body::Decided { .. } => "decided" v 1,
    Body::Undecided { .. } => "undecided" v 1,
    Body::Entered { .. } => "entered" v 1,
    Body::ConditionSet { .. } => "condition_set" v 1,
    Body::Failed { .. } => "failed" v 1,
    Body::Continued { .. } => "continued" v 1,
    Body::Asked { .. } => "asked" v 1,
    Body::AskDelivered { .. } => "ask_delivered" v 1,
    Body::AskExtended { .. } => "ask_extended" v 1,
    Body::Replied { .. } => "replied" v 1,
    Body::PartlyReplied { .. } => "partly_replied" v 1,
    Body::AskEnded { .. } => "ask_ended" v 1,
    Body::Admitted { .. } => "admitted" v 1,
    Body::EffectUnclear { .. } => "effect_unclear" v 1,
    Body::EffectEnded { .. } => "effect_ended" v 1,
    Body::HostMoved { .. } => "host_moved" v 1,
    Body::ActionCalled { .. } => "action_called" v 1,
    Body::Noted { .. } => "noted" v 1,
    Body::ValueKept { .. } => "value_kept" v 1,
    Body::Queued { .. } => "queued" v 1,
    Body::MessageEnded { .. } => "message_ended" v 1,
    Body::Removed => "removed" v 1,
}

/// All names of current kinds, in the order of the table.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    FORMS.current.iter().map(|form| form.kind)
}

/// The steps from older forms; empty until a released form changes.
const UPCASTS: &[Upcast] = &[];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const fn form(kind: &'static str, version: u16) -> Form {
        Form { kind, version }
    }

    /// A kind that was called `jotted`, then `noted`, whose `text` is `value` today.
    static AGED: Forms = Forms {
        current: &[form("noted", 3)],
        upcasts: &[
            Upcast {
                from: form("jotted", 1),
                to: form("noted", 2),
                step: |body| Ok(json!({"noted": body["jotted"]})),
            },
            Upcast {
                from: form("noted", 2),
                to: form("noted", 3),
                step: |body| {
                    let text = body["noted"]["text"].as_str().ok_or("no text")?;
                    Ok(json!({"noted": {"key": body["noted"]["key"], "value": text}}))
                },
            },
        ],
    };

    #[test]
    fn every_older_form_reaches_a_current_one() {
        let reaches_current = |upcast: &Upcast| {
            let mut at = upcast.to;
            for _ in FORMS.upcasts {
                match FORMS.upcasts.iter().find(|next| next.from == at) {
                    Some(next) => at = next.to,
                    None => break,
                }
            }
            FORMS.is_current(at.kind, at.version)
        };
        assert!(FORMS.upcasts.iter().all(reaches_current));
    }

    #[test]
    fn an_older_body_is_brought_up_step_by_step() {
        let newest = json!({"noted": {"key": "k", "value": "v"}});
        let check = |kind: &str, version: u16, body: Value| {
            assert_eq!(AGED.upcast(kind, version, body), Ok(newest.clone()), "{kind} {version}");
        };
        check("jotted", 1, json!({"jotted": {"key": "k", "text": "v"}}));
        check("noted", 2, json!({"noted": {"key": "k", "text": "v"}}));
        check("noted", 3, newest.clone());
    }

    #[test]
    fn a_step_that_misses_something_says_what() {
        let failed = AGED.upcast("noted", 2, json!({"noted": {}}));
        assert_eq!(failed, Err(FormError::Upcast { from: 2, why: "no text".into() }));
    }

    #[test]
    fn a_form_that_no_step_reads_is_unknown() {
        let check = |kind: &str, version: u16, known: Option<u16>| {
            assert_eq!(
                AGED.upcast(kind, version, json!({})),
                Err(FormError::Unknown { known }),
                "{kind} {version}"
            );
        };
        check("noted", 4, Some(3));
        check("noted", 1, Some(3));
        check("dreamt", 1, None);
    }

    #[test]
    fn a_table_that_runs_in_circles_ends() {
        static CIRCLE: Forms = Forms {
            current: &[form("noted", 9)],
            upcasts: &[
                Upcast { from: form("noted", 1), to: form("noted", 2), step: Ok },
                Upcast { from: form("noted", 2), to: form("noted", 1), step: Ok },
            ],
        };
        assert_eq!(CIRCLE.upcast("noted", 1, json!({})), Err(FormError::Unknown { known: Some(9) }));
    }
}
