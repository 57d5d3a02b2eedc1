use std::sync::{Mutex, MutexGuard};

use nix::sys::signal::Signal;

use crate::{ServiceError, folder::Folder, process::Process};

/// The process of a service that may be stopped and started again, and its folder. The process is dropped first.
#[derive(Debug)]
pub(crate) struct Server {
    program: &'static str,
    process: Mutex<Option<Process>>,
    folder: Folder,
}

impl Server {
    pub(crate) const fn new(program: &'static str, folder: Folder) -> Self {
        Self { program, process: Mutex::new(None), folder }
    }

    pub(crate) const fn folder(&self) -> &Folder {
        &self.folder
    }

    pub(crate) fn id(&self) -> Result<u32, ServiceError> {
        self.process().as_ref().map(Process::id).ok_or(ServiceError::NotRunning(self.program))
    }

    /// Ends what runs, if anything does, and takes a new process in its place.
    pub(crate) fn replace(
        &self,
        signal: Signal,
        spawn: impl FnOnce() -> Result<Process, ServiceError>,
    ) -> Result<(), ServiceError> {
        let mut process = self.process();
        if let Some(running) = process.take().and_then(Self::if_alive) {
            running.end(signal)?;
        }
        *process = Some(spawn()?);
        Ok(())
    }

    /// Fails if the process has ended by itself, with the end of its log.
    pub(crate) fn still_runs(&self) -> Result<(), ServiceError> {
        match self.process().as_mut().map(Process::has_ended) {
            Some(false) => Ok(()),
            Some(true) => Err(ServiceError::Ended { program: self.program, log: self.folder.log_end() }),
            None => Err(ServiceError::NotRunning(self.program)),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<(), ServiceError> {
        match &*self.process() {
            Some(process) => process.signal(signal),
            None => Err(ServiceError::NotRunning(self.program)),
        }
    }

    pub(crate) fn pause(&self) -> Result<(), ServiceError> {
        self.process().as_ref().ok_or(ServiceError::NotRunning(self.program))?.pause()
    }

    pub(crate) fn end(&self, signal: Signal) -> Result<(), ServiceError> {
        self.take()?.end(signal)
    }

    pub(crate) fn kill_with_children(&self) -> Result<(), ServiceError> {
        self.take()?.kill_with_children()
    }

    fn take(&self) -> Result<Process, ServiceError> {
        self.process().take().and_then(Self::if_alive).ok_or(ServiceError::NotRunning(self.program))
    }

    fn if_alive(mut process: Process) -> Option<Process> {
        (!process.has_ended()).then_some(process)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().expect("no holder panics")
    }
}
