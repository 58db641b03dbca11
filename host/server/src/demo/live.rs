//! How the session looks while it goes on: the picture of `fenix session watch` at a terminal, a line for everything
//! that happens elsewhere.

use crate::cli::client::Fenix;
use crate::cli::exit::Failure;
use crate::cli::print;
use crate::cli::text::plain;
use crate::cli::watch::screen::Screen;
use crate::cli::watch::{View, picture, zones};

/// Shows the session.
pub(super) struct Live {
    screen: Option<Screen>,
    view: View,
}

impl Live {
    /// Shows it in a picture, or by line.
    pub(super) async fn new(in_picture: bool, fenix: &Fenix) -> Live {
        let view = View::new(zones(fenix).await);
        Live { screen: in_picture.then(Screen::enter), view }
    }

    /// Something happened.
    pub(super) fn happened(&mut self, line: &str) {
        match self.screen {
            None => print::note(plain(line)),
            Some(_) => self.view.happened(plain(line)),
        }
    }

    /// Shows how the session stands.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub(super) async fn show(&mut self, fenix: &Fenix, path: &str) -> Result<&serde_json::Value, Failure> {
        self.view.read(fenix, path).await?;
        if let Some(screen) = &mut self.screen {
            let frame = screen.frame();
            screen.show(&picture::lines(&self.view.scene(), frame));
        }
        Ok(&self.view.detail)
    }
}
