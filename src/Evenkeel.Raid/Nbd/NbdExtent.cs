namespace Evenkeel.Raid.Nbd;

/// <summary>A stretch of an export.</summary>
/// <param name="Length">Bytes.</param>
/// <param name="IsHole">Whether nothing is stored there; it reads as zeros then.</param>
public readonly record struct NbdExtent(long Length, bool IsHole)
{
    /// <summary>The most that are told at once.</summary>
    public const int Maximum = 128;
}
