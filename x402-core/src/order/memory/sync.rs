//! Locks of the standard library. In tests the model checker's take their place wherever it runs: it decides who gets one.

#[cfg(not(test))]
pub(super) use std::sync::{Mutex, MutexGuard};

#[cfg(test)]
pub(super) use self::modelled::{Mutex, MutexGuard};

#[cfg(test)]
mod modelled {
    use std::{
        ops::{Deref, DerefMut},
        sync::{LockResult, PoisonError},
    };

    pub(in super::super) enum Mutex<T> {
        Std(std::sync::Mutex<T>),
        Modelled(shuttle::sync::Mutex<T>),
    }

    pub(in super::super) enum MutexGuard<'a, T> {
        Std(std::sync::MutexGuard<'a, T>),
        Modelled(shuttle::sync::MutexGuard<'a, T>),
    }

    impl<T> Mutex<T> {
        pub(in super::super) fn new(value: T) -> Self {
            if shuttle::current::try_get_current_task().is_some() {
                Self::Modelled(shuttle::sync::Mutex::new(value))
            } else {
                Self::Std(std::sync::Mutex::new(value))
            }
        }

        pub(in super::super) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            match self {
                Self::Std(mutex) => wrapped(mutex.lock(), MutexGuard::Std),
                Self::Modelled(mutex) => wrapped(mutex.lock(), MutexGuard::Modelled),
            }
        }
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            match self {
                Self::Std(guard) => guard,
                Self::Modelled(guard) => guard,
            }
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            match self {
                Self::Std(guard) => guard,
                Self::Modelled(guard) => guard,
            }
        }
    }

    fn wrapped<A, B>(result: LockResult<A>, wrap: impl Fn(A) -> B) -> LockResult<B> {
        result.map(&wrap).map_err(|poisoned| PoisonError::new(wrap(poisoned.into_inner())))
    }
}
