use bellwether_programs::installed_faketime;

use super::apt;
use crate::step::say;

/// Gets libfaketime, by which wall clocks of servers can be made to jump. Without it everything
/// else can be done.
pub(crate) async fn faketime() {
    if installed_faketime().is_some() {
        return say(format_args!("libfaketime: installed"));
    }
    say(format_args!(
        "libfaketime: missing. Wall clocks of servers jump by it."
    ));
    let installed = apt::install(&["libfaketime"]).await;
    if let Err(error) = installed {
        say(format_args!(
            "no clock will jump: without libfaketime none can be made to. {error:#}"
        ));
    } else if installed_faketime().is_none() {
        say(format_args!(
            "no clock will jump: libfaketime is installed, and cannot be loaded or is not where it is looked for"
        ));
    }
}
