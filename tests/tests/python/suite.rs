use anyhow::Result;

use crate::program::run;

#[tokio::test]
async fn its_own_tests_pass() -> Result<()> {
    run(&["-m", "unittest", "discover", "-t", "."]).await?;
    Ok(())
}

#[tokio::test]
async fn its_types_are_right() -> Result<()> {
    run(&["-m", "mypy", "--cache-dir=/dev/null"]).await?;
    Ok(())
}
