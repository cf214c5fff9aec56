use std::mem;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

/// The fixture that the cases of a test program share. It is started with the first case, and the
/// cases run on it one after the other. A case is a function, or a value of another type `C`, such
/// as a row of a table.
pub trait Stage<C = Case<Self>>: Sized + Send + 'static {
    /// Starts everything.
    fn start() -> impl Future<Output = Result<Self>>;

    /// Plays a case, with everything in order before it.
    fn play(&mut self, case: C) -> impl Future<Output = Result<()>>;

    /// Ends everything, after the last case.
    fn end(self) -> impl Future<Output = Result<()>>;
}

/// One case: its actions and its expectations.
pub type Case<S> = for<'a> fn(&'a mut S) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// A list of [`Case`]s for [`play`], each with its name, from the names of modules and of functions
/// in them: `cases! { rows: first_case second_case; history: third_case; }`.
#[macro_export]
macro_rules! cases {
    ($($subject:ident: $($case:ident)+;)+) => {
        [$($((
            concat!(stringify!($subject), "::", stringify!($case)),
            (|stage| Box::pin($subject::$case(stage))) as $crate::Case<_>,
        ),)+)+]
    };
}

/// Plays those of the cases that the program's arguments name, in their order, as `cargo test`
/// expects it of a test program.
///
/// # Errors
/// If the stage does not end in order.
pub fn play<S: Stage>(cases: impl IntoIterator<Item = (&'static str, Case<S>)>) -> Result<ExitCode> {
    play_rows::<S, Case<S>>(cases.into_iter().map(|(name, case)| (name.to_owned(), case)))
}

/// Does the same as [`play`], for cases that are rows of a table.
///
/// # Errors
/// As for [`play`].
pub fn play_rows<S, C>(rows: impl IntoIterator<Item = (String, C)>) -> Result<ExitCode>
where
    S: Stage<C>,
    C: Send + 'static,
{
    let arguments = Arguments {
        test_threads: Some(1),
        ..Arguments::from_args()
    };
    let shared = Arc::new(Shared::<S> {
        runtime: Runtime::new()?,
        stage: Mutex::default(),
    });
    let trials = rows.into_iter().map(|(name, row)| {
        let shared = Arc::clone(&shared);
        Trial::test(name, move || shared.play(row))
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    shared.end::<C>()?;
    Ok(conclusion.exit_code())
}

struct Shared<S> {
    runtime: Runtime,
    stage: Mutex<State<S>>,
}

#[derive(Default)]
enum State<S> {
    #[default]
    NotStarted,
    Started(S),
    /// It is not tried again for each case.
    Failed,
}

impl<S: Send + 'static> Shared<S> {
    fn play<C>(&self, case: C) -> Result<(), Failed>
    where
        S: Stage<C>,
    {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        self.runtime
            .block_on(async {
                if matches!(*stage, State::NotStarted) {
                    *stage = State::Failed;
                    *stage = State::Started(S::start().await?);
                }
                let State::Started(stage) = &mut *stage else {
                    bail!("the first case says why nothing could be started");
                };
                stage.play(case).await
            })
            .map_err(|error| {
                let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
                Failed::from(causes.join("\ncaused by: "))
            })
    }

    fn end<C>(&self) -> Result<()>
    where
        S: Stage<C>,
    {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        // A driver's client ends tasks of the runtime when it is dropped.
        let _inside = self.runtime.enter();
        match mem::take(&mut *stage) {
            State::Started(stage) => self.runtime.block_on(stage.end()),
            State::NotStarted | State::Failed => Ok(()),
        }
    }
}
