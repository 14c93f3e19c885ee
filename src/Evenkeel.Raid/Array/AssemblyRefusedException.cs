namespace Evenkeel.Raid.Array;

/// <summary>The members do not make an array that can be started safely; the message says why and what force would risk.</summary>
public sealed class AssemblyRefusedException(string message) : Exception(message);
