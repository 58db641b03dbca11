//! What the actions of a session keep for each other.

use fenix_core::id::SessionId;
use fenix_core::record::Body;
use fenix_core::values::{MAX_KEY, MAX_VALUE, MAX_VALUES};

use crate::Engine;
use crate::command::{Answer, CommandError};

impl Engine {
    /// Keeps a value, or forgets it, also while a session is being closed: whatever was changed elsewhere is to be put back.
    pub(crate) fn keep_value(
        &mut self,
        id: &SessionId,
        plugin: String,
        key: String,
        value: Option<String>,
    ) -> Result<Answer, CommandError> {
        let session = self.state.session(id).ok_or_else(|| CommandError::NoSession(id.clone()))?;
        let own = session.values.get(&plugin);
        let known = own.and_then(|own| own.get(&key));
        if known == value.as_ref() {
            return Ok(Answer::Idle);
        }
        let is_new = known.is_none() && value.is_some();
        let why = match &value {
            _ if key.is_empty() || key.len() > MAX_KEY => format!("a key has 1 to {MAX_KEY} bytes"),
            Some(value) if value.len() > MAX_VALUE => format!("a value has at most {MAX_VALUE} bytes"),
            _ if is_new && own.is_some_and(|own| own.len() >= MAX_VALUES) => {
                format!("a session keeps at most {MAX_VALUES} values of a plug-in")
            }
            _ => {
                self.record(id, Body::ValueKept { plugin, key, value });
                return Ok(Answer::Done);
            }
        };
        Err(CommandError::NoValue { plugin, key: key.chars().take(MAX_KEY).collect(), why })
    }
}
