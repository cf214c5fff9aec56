//! Threads for work that would keep a socket's thread busy for a long time: reading long commands.
//!
//! There are fewer of these threads than cores, so the server continues to serve sockets. Sources
//! take turns: at any time only a few pieces of work of each source wait for a thread, in one queue
//! for all sources.

use core::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::site::Site;

#[derive(Debug)]
pub(super) struct Workers {
    /// Fair: the work that has waited longest is next.
    free: Arc<Semaphore>,
    count: usize,
}

impl Workers {
    /// Creates one thread fewer than the machine has cores, but at least one.
    pub(super) fn new() -> Arc<Self> {
        let cores = available_parallelism().map_or(1, usize::from);
        Self::with(cores.saturating_sub(1).max(1))
    }

    fn with(count: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(count)),
            count,
        })
    }

    /// Returns the number of threads that one source may use or wait for at a time: half, but at
    /// least one.
    pub(super) fn share(&self) -> usize {
        (self.count / 2).max(1)
    }

    /// Runs the work on one of the threads, as soon as it is the turn of the source.
    ///
    /// If the future is dropped, work that has begun continues, and keeps its thread until it has
    /// ended.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        site: &Site,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let share = Arc::clone(&site.at_work).acquire_owned().await;
        let thread = Arc::clone(&self.free).acquire_owned().await;
        let done = spawn_blocking(move || {
            let done = work();
            // No task closes the semaphores, so there are always permits to return.
            drop((thread, share));
            done
        });
        match done.await.map_err(|error| error.try_into_panic()) {
            Ok(done) => done,
            Err(Ok(panic)) => resume_unwind(panic),
            // The runtime is shutting down, and this task with it.
            Err(Err(_)) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc;

    use futures_util::future::join_all;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn sources_take_turns_and_a_dropped_caller_frees_no_thread() {
        let workers = Workers::with(1);
        let (greedy, modest) = (Site::new(1, workers.share()), Site::new(2, workers.share()));
        let order = Arc::new(Mutex::new(Vec::new()));
        let (go, wait) = mpsc::channel::<()>();
        // The only thread is busy, for a caller that has left.
        let busy = tokio::spawn({
            let (workers, site) = (Arc::clone(&workers), Site::new(3, 1));
            async move { workers.run(&site, move || wait.recv()).await }
        });
        while workers.free.available_permits() > 0 {
            yield_now().await;
        }
        busy.abort();
        assert!(busy.await.unwrap_err().is_cancelled());
        assert_eq!(workers.free.available_permits(), 0);

        let job = |site: Arc<Site>, name: &'static str| {
            let (workers, order) = (Arc::clone(&workers), Arc::clone(&order));
            tokio::spawn(async move { workers.run(&site, move || order.lock().unwrap().push(name)).await })
        };
        let mut jobs = Vec::new();
        for _ in 0..5 {
            jobs.push(job(Arc::clone(&greedy), "greedy"));
        }
        // All of them arrive first.
        yield_now().await;
        jobs.push(job(modest, "modest"));
        yield_now().await;
        go.send(()).unwrap();
        for done in join_all(jobs).await {
            done.unwrap();
        }
        let order = order.lock().unwrap();
        assert_eq!(
            order.iter().position(|name| *name == "modest"),
            Some(1),
            "{order:?}"
        );
    }

    #[tokio::test]
    async fn a_panic_is_the_callers() {
        let workers = Workers::with(1);
        let site = Site::new(1, 1);
        let caller = Arc::clone(&workers);
        let failed = tokio::spawn(async move { caller.run(&site, || panic!("a bug")).await });
        assert!(failed.await.unwrap_err().is_panic());
        assert_eq!(
            workers.run(&Site::new(1, 1), || 7).await,
            7,
            "the thread is free again"
        );
    }
}
