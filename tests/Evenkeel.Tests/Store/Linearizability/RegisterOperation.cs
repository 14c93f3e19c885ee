namespace Evenkeel.Tests.Store.Linearizability;

public enum RegisterAction
{
    /// <summary>Saw <see cref="RegisterOperation.Value"/>.</summary>
    Read,
    /// <summary>Made it <see cref="RegisterOperation.Value"/>, whatever it was.</summary>
    Write,
    /// <summary>Found <see cref="RegisterOperation.Expected"/> and made it <see cref="RegisterOperation.Value"/>.</summary>
    Swap,
    /// <summary>Found something else than <see cref="RegisterOperation.Expected"/>.</summary>
    FailedSwap,
}

/// <summary>
/// One client's call on one register. Values are unique in a history; null is 'absent'. <see cref="Returned"/> is
/// <see cref="Unknown"/> for a call whose outcome nobody learnt: it may take effect at any time after the call, or never.
/// </summary>
public sealed record RegisterOperation(RegisterAction Action, string? Expected, string? Value, long Called, long Returned)
{
    public const long Unknown = long.MaxValue;
}
