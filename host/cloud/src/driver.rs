//! What every driver is: something that answers the engine's calls.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use fenix_engine::ports::{CloudCall, CloudError, CloudReply};

/// The answer to come of one call.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<CloudReply, CloudError>> + Send + 'a>>;

/// An infrastructure that can be asked and told.
///
/// Which driver it is, is decided when the program starts; that is why the answer is boxed.
pub trait Cloud: Send + Sync {
    /// Makes one call, once: a driver never repeats a change by itself.
    ///
    /// The answer always comes: a driver bounds its own waiting, and answers `Unclear` at the end of it. Dropping
    /// the future gives up waiting, and says nothing about whether the call is carried out.
    ///
    /// # Errors
    /// `NotFound` and `Refused` promise that nothing was changed. Whatever the driver cannot promise is `Unclear`.
    fn call<'a>(&'a self, call: &'a CloudCall) -> Answering<'a>;
}

impl<T: Cloud + ?Sized> Cloud for Arc<T> {
    fn call<'a>(&'a self, call: &'a CloudCall) -> Answering<'a> {
        (**self).call(call)
    }
}
