namespace Evenkeel.Backup;

/// <summary>Why a repository could not be used; callers choose exit codes and advice by it.</summary>
public enum RepositoryError
{
    /// <summary>There is no repository at that place.</summary>
    Missing,

    /// <summary>There is one already where a new one was asked for.</summary>
    Exists,

    /// <summary>No key file opens with the given password.</summary>
    WrongPassword,

    /// <summary>A format version that this program does not know.</summary>
    UnknownFormat,

    /// <summary>Stored bytes are not what was written: bad hash, bad tag, unreadable structure.</summary>
    Damaged,

    /// <summary>Somebody else holds a lock that excludes this operation.</summary>
    Locked,

    /// <summary>The backend has no such file.</summary>
    NotFound,

    /// <summary>The backend refuses: append-only, permissions.</summary>
    Refused,

    /// <summary>The backend is full or over its quota.</summary>
    Full,

    /// <summary>The backend failed or cannot be reached.</summary>
    Unavailable,
}

/// <summary>A failure of a repository or its backend, with a message fit for the user.</summary>
public sealed class RepositoryException(RepositoryError error, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>What kind of failure.</summary>
    public RepositoryError Error { get; } = error;
}
