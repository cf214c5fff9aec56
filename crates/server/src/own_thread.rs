//! A thread for tasks that must not wait for any other task of the process.

use std::io;
use std::thread;

use tokio::runtime::{Builder, EnterGuard, Handle, Runtime};
use tokio::sync::oneshot;

/// A thread with a tokio runtime of its own.
///
/// Tasks of the runtime that called [`Server::start`](crate::Server::start) may keep all of its
/// threads busy. Examples are reading a client's command, writing a reply, and the work of the
/// embedding program. Tasks on this thread continue meanwhile, because the operating system
/// schedules the threads.
///
/// Dropping this value ends the thread and all its tasks, soon but not at once.
#[derive(Debug)]
pub(crate) struct OwnThread {
    runtime: Handle,
    /// The thread ends when this is dropped.
    stop: oneshot::Sender<()>,
    /// Completes when all tasks of the thread have ended.
    ended: oneshot::Receiver<()>,
}

impl OwnThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives no further thread or file descriptor.
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(runtime, stopped, end))?;
        Ok(Self {
            runtime: handle,
            stop,
            ended,
        })
    }

    /// Enters the runtime: while the guard lives, the calling thread spawns tasks and opens sockets
    /// on this thread.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Ends the thread and its remaining tasks, and waits until they have ended.
    pub(crate) async fn end(self) {
        drop(self.stop);
        // The thread drops its side in any case.
        let _ = self.ended.await;
    }
}

fn run(runtime: Runtime, stopped: oneshot::Receiver<()>, end: oneshot::Sender<()>) {
    runtime.block_on(async {
        // No value is ever sent: this completes when the sender is dropped.
        let _ = stopped.await;
    });
    // A thread of the runtime may still look up a name. No task waits for the result any more.
    runtime.shutdown_background();
    drop(end);
}

#[cfg(test)]
mod tests {
    use core::future::pending;
    use std::sync::mpsc;
    use std::thread::ThreadId;

    use super::*;

    /// Sends a message when it is dropped.
    struct Told(mpsc::Sender<ThreadId>);

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().id());
        }
    }

    fn start() -> (OwnThread, mpsc::Receiver<ThreadId>) {
        let own = OwnThread::start("test").unwrap();
        let (tell, told) = mpsc::channel();
        let held = Told(tell);
        let guard = own.enter();
        tokio::spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        drop(guard);
        (own, told)
    }

    #[test]
    fn tasks_run_while_the_caller_is_blocked_and_end_with_the_thread() {
        let (own, told) = start();
        let (tell, heard) = mpsc::channel();
        let guard = own.enter();
        tokio::spawn(async move {
            tokio::task::yield_now().await;
            let _ = tell.send(thread::current().id());
        });
        drop(guard);
        // This thread does nothing but wait.
        let there = heard.recv().unwrap();
        assert_ne!(there, thread::current().id());
        drop(own);
        told.recv().unwrap();
    }

    #[tokio::test]
    async fn the_end_is_waited_for() {
        let (own, told) = start();
        own.end().await;
        assert!(told.try_recv().is_ok());
    }
}
