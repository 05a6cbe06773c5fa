//! Whose entries: an organization's, or those of the platform; and the months that they are kept by.

use std::fmt;
use std::str::FromStr;

use coder_core::{OrganizationId, Timestamp};
use coder_database::Partition;

/// The bucket of everything but entries and heads.
pub const CONFIG: &str = "config";

/// One chain of entries and what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trail {
    /// An organization's.
    Organization(OrganizationId),
    /// That of acts outside any organization; operators read it.
    Platform,
}

impl Trail {
    /// The trail of a person who works in this organization, or in none.
    pub fn of(organization_id: Option<OrganizationId>) -> Self {
        organization_id.map_or(Self::Platform, Self::Organization)
    }

    /// The trail that a partition belongs to.
    pub fn of_partition(partition: &Partition) -> Self {
        Self::of(partition.organization_id())
    }

    /// The organization, unless it is the platform's.
    pub fn organization_id(self) -> Option<OrganizationId> {
        match self {
            Self::Organization(id) => Some(id),
            Self::Platform => None,
        }
    }

    /// The organization's id, or `platform`.
    pub fn name(self) -> String {
        self.organization_id().map_or_else(|| "platform".to_owned(), |id| id.to_string())
    }

    /// Every bucket, for queries.
    pub fn all(self) -> Partition {
        self.organization_id().map_or_else(Partition::platform, Partition::organization)
    }

    /// The bucket of configuration and of all that is no entry.
    pub fn config(self) -> Partition {
        self.all().bucket(CONFIG)
    }

    /// The bucket of a month.
    pub fn month(self, month: Month) -> Partition {
        self.all().bucket(month.to_string())
    }
}

/// A month of the calendar in UTC, from 1970 on; written `YYYY-MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month(u16);

impl Month {
    /// The last that there is a number for; it stands for all later ones too.
    const LAST: Self = Self(u16::MAX);

    /// The month of a moment.
    pub fn of(time: Timestamp) -> Self {
        let text = time.max(Timestamp::UNIX_EPOCH).to_string();
        text.get(..7).and_then(|text| text.parse().ok()).unwrap_or(Self::LAST)
    }

    /// The month after.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Months since January 1970.
    pub fn number(self) -> u16 {
        self.0
    }

    /// The month of a number.
    pub fn from_number(number: u16) -> Self {
        Self(number)
    }

    /// Its first moment.
    pub fn start(self) -> Timestamp {
        format!("{self}-01T00:00:00Z").parse().unwrap_or(Timestamp::MAX)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04}-{:02}", self.0 / 12 + 1970, self.0 % 12 + 1)
    }
}

impl FromStr for Month {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (year, month) = text.split_once('-').ok_or(())?;
        let (year, month): (u16, u16) = (year.parse().map_err(|_| ())?, month.parse().map_err(|_| ())?);
        let whole = text.len() == 7 && (1970..=9999).contains(&year) && (1..=12).contains(&month);
        // At most 8,030 years: twelve times as many months do not fit 16 bits, and are refused.
        let number = year.checked_sub(1970).and_then(|years| years.checked_mul(12));
        let number = number.and_then(|number| number.checked_add(month.checked_sub(1)?));
        number.filter(|_| whole).map(Self).ok_or(())
    }
}

impl serde::Serialize for Month {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Month {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(from)?;
        text.parse().map_err(|()| serde::de::Error::custom("no month, such as 2026-11"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_count_on_and_read_back() {
        let november = Month::of("2026-11-30T23:59:59.999Z".parse().unwrap());
        assert_eq!(november.to_string(), "2026-11");
        assert_eq!(november.next().to_string(), "2026-12");
        assert_eq!(november.next().next().to_string(), "2027-01");
        assert_eq!(november.next().start(), "2026-12-01T00:00:00Z".parse().unwrap());
        assert_eq!("2026-11".parse(), Ok(november));
        assert_eq!(Month::from_number(november.number()), november);
        assert!(Month::of(Timestamp::MAX) > november);
        for text in ["", "2026", "2026-13", "2026-00", "1969-12", "2026-1", "config", "20260-1"] {
            assert_eq!(text.parse::<Month>(), Err(()), "{text}");
        }
    }
}
