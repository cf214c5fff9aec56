use anyhow::Result;
use bellwether_programs::python_packages;

use super::{Missing, wheel};
use crate::step::{root, say};

/// Makes sure that there is Python with the packages that the Python client and its tests need.
pub(crate) async fn python() -> Result<()> {
    let got = async {
        wheel::pip().await?;
        python_packages(&root().join("clients/python")).await
    };
    got.await.map_err(|error| {
        let missing = Missing(format!("{error:#}"));
        error.context(missing)
    })?;
    say(format_args!(
        "packages of Python, for the Python client: installed"
    ));
    Ok(())
}
