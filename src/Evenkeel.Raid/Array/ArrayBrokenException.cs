namespace Evenkeel.Raid.Array;

/// <summary>More members are lost than the level survives; the call did nothing durable.</summary>
public sealed class ArrayBrokenException(string message) : IOException(message);
