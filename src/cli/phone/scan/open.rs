//! `cabled phone open`: a link is not a scan, so it is asked first what the user is looking at.
//!
//! A scan shows that the user sees the code on a screen. A link shows nothing: a web page or a message
//! brings a phone's user to open one that belongs to somebody else's sign-in (CVE-2024-9956). Until the
//! user has said otherwise nothing is sent, advertised or unlocked, and there is no option that says it
//! for the user.

use clap::Args;

use super::{Scan, young_enough};
use crate::cli::advice;
use crate::cli::args::Link;
use crate::cli::failure::{Failure, Status};
use crate::cli::phone::keeper::Place;
use crate::cli::phone::making::Making;
use crate::cli::phone::{interrupted_terminal, or_interrupted};
use crate::cli::system;
use crate::cli::terminal::Terminal;
use crate::cli::ui::Ui;
use crate::hybrid::qr::{Hint, QrContents};

/// Answers a FIDO:/ link, after asking what you are looking at; desktops call this
#[derive(Args, Clone, Debug)]
pub(in crate::cli::phone) struct Open {
    /// The link, which begins with FIDO:/
    #[arg(value_name = "URI")]
    uri: String,
    #[command(flatten)]
    link: Link,
}

impl Open {
    pub(in crate::cli::phone) async fn run(&self, ui: Ui, place: Place<'_>) -> Result<(), Failure> {
        let mut interrupt = std::pin::pin!(system::interrupted());
        let meant = meant(self.uri.clone(), From::Link);
        or_interrupted(interrupt.as_mut(), meant).await?;
        self.scan().answer(ui, place, interrupt).await
    }

    /// From here on it is as good as scanned. The owner is asked again about the site.
    fn scan(&self) -> Scan {
        Scan {
            text: Some(self.uri.clone()),
            image: None,
            screen: false,
            clipboard: false,
            #[cfg(feature = "camera")]
            camera: None,
            auto_approve: false,
            making: Making::USUAL,
            any_age: false,
            link: self.link.clone(),
        }
    }
}

/// Where a text comes from that nobody scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Link,
    Clipboard,
}

/// The text back, once its user has said that they see the code.
///
/// # Errors
///
/// It is no code, or one of long ago; there is nobody to ask; the answer is no.
pub(super) async fn meant(text: String, from: From) -> Result<String, Failure> {
    let contents = QrContents::decode(text.trim()).map_err(|error| advice::qr(&error))?;
    young_enough(&contents, system::unix_time())?;
    let terminal = Terminal::open().ok_or_else(nobody)?;
    let asked = async {
        terminal.say(&warning(from, contents.intent())).await?;
        terminal.confirm("Did you start this yourself, and do you see the code there?").await
    };
    match asked.await.map_err(|error| interrupted_terminal(&error))? {
        true => Ok(text),
        false => Err(stopped()),
    }
}

fn warning(from: From, intent: Hint) -> String {
    let came = match from {
        From::Link => "You opened a link.",
        From::Clipboard => "You copied a text.",
    };
    let what = match intent {
        Hint::MakeCredential => "save a passkey",
        Hint::GetAssertion => "sign in",
        _ => "use this phone",
    };
    format!(
        "\n{came} You did not scan a code.\n\n\
         It lets another device {what} with the passkeys of this phone. Anybody can put such a link on a \
         web page or into a message. If somebody made you do this, that other device is theirs: they would \
         be signed in as you, or have your next passkey.\n\n\
         Go on only if you started this yourself a moment ago, and see this very code as a picture on the \
         screen of a device that you hold or sit at. If a page or a person told you to do this, \
         answer no.\n\n"
    )
}

fn nobody() -> Failure {
    let error = "a link is answered only after asking you, and there is no terminal to ask on";
    Failure::new(
        Status::Usage,
        error,
        "run it in a terminal, or scan the code: cabled phone scan --screen",
    )
}

fn stopped() -> Failure {
    let error = "the link was not followed; nothing was sent";
    let hint = "to sign in on a device of yours, start there and scan its code: cabled phone scan --screen";
    Failure::new(Status::Refused, error, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warning_says_what_the_link_does() {
        assert!(
            warning(From::Link, Hint::MakeCredential)
                .contains("lets another device save a passkey")
        );
        let text = warning(From::Clipboard, Hint::GetAssertion);
        assert!(
            text.contains("You copied a text.") && text.contains("lets another device sign in")
        );
        assert!(text.contains("signed in as you"));
    }
}
