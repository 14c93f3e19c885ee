namespace Evenkeel.Raid.Superblock;

/// <summary>Metadata that is damaged, or that this implementation must not touch because it does not understand it.</summary>
public sealed class MdFormatException(string message) : Exception(message);
