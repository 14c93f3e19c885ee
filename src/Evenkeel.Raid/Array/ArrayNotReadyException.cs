namespace Evenkeel.Raid.Array;

/// <summary>The array must first be brought into another state; the message says which. Nothing was changed.</summary>
public sealed class ArrayNotReadyException(string message) : Exception(message);
