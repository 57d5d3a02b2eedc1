//! EVM addresses, checked before money goes there.

use std::fmt;

use crate::scheme::EvmAddress;

/// Why a text is not an address to send money to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AddressError {
    /// It is not `0x` and 40 hexadecimal digits.
    NotAnAddress(String),
    /// Its mixed case is not its EIP-55 checksum: a digit is probably wrong.
    Checksum {
        /// What was written.
        written: String,
        /// The checksummed form of the same digits.
        wanted: String,
    },
    /// Nobody holds its key.
    Burns(String),
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnAddress(text) => {
                write!(f, "`{text}` is not an address: `0x` and 40 hexadecimal digits")
            }
            Self::Checksum { written, wanted } => {
                write!(f, "`{written}` has a wrong checksum; if its digits are right it is `{wanted}`")
            }
            Self::Burns(text) => write!(f, "nobody can spend what is paid to `{text}`"),
        }
    }
}

impl std::error::Error for AddressError {}

/// Checks the form of an EVM address and, where its case is mixed, its EIP-55 checksum.
pub(super) fn check(text: &str) -> Result<(), AddressError> {
    let address: EvmAddress = text.parse().map_err(|_| AddressError::NotAnAddress(text.to_owned()))?;
    let digits = &text.as_bytes()[2..];
    let mixed = digits.iter().any(u8::is_ascii_lowercase) && digits.iter().any(u8::is_ascii_uppercase);
    let wanted = address.to_string();
    if mixed && wanted != text {
        return Err(AddressError::Checksum { written: text.to_owned(), wanted });
    }
    Ok(())
}

/// [`check`], for an address that receives money.
pub(super) fn check_recipient(text: &str) -> Result<(), AddressError> {
    check(text)?;
    if BURNS.iter().any(|burn| text.eq_ignore_ascii_case(burn)) {
        return Err(AddressError::Burns(text.to_owned()));
    }
    Ok(())
}

const BURNS: [&str; 2] =
    ["0x0000000000000000000000000000000000000000", "0x000000000000000000000000000000000000dEaD"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_checked_where_case_is_mixed() {
        for good in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359",
            "0xFB6916095CA1DF60BB79CE92CE3EA74C37C5D359",
        ] {
            assert_eq!(check_recipient(good), Ok(()), "{good}");
        }
        let error = check("0xFB6916095ca1df60bB79Ce92cE3Ea74c37c5d359").unwrap_err();
        assert!(error.to_string().contains("0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"), "{error}");
    }

    #[test]
    fn texts_that_are_not_addresses_are_refused() {
        for bad in [
            "",
            "0x",
            "0X5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "fb6916095ca1df60bb79ce92ce3ea74c37c5d359",
            "0xfb6916095ca1df60bb79ce92ce3ea74c37c5d35",
            "0xfb6916095ca1df60bb79ce92ce3ea74c37c5d35g",
            "vitalik.eth",
        ] {
            assert!(matches!(check(bad), Err(AddressError::NotAnAddress(_))), "{bad}");
        }
    }

    #[test]
    fn money_is_not_burned() {
        for burn in
            ["0x0000000000000000000000000000000000000000", "0x000000000000000000000000000000000000dead"]
        {
            assert_eq!(check_recipient(burn), Err(AddressError::Burns(burn.to_owned())));
        }
    }
}
