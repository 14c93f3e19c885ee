namespace Evenkeel.Raid.Parity;

/// <summary>
/// As many field elements as one register holds. The kernels are written once over this; the runtime compiles them
/// anew for each lane, so the choice of instruction set costs nothing in the loop.
/// </summary>
internal interface ILane<TSelf>
    where TSelf : struct, ILane<TSelf>
{
    /// <summary>Bytes in one lane; a divisor of 64.</summary>
    static abstract int Bytes { get; }

    static abstract TSelf Load(ref readonly byte source);

    static abstract void Store(TSelf value, ref byte target);

    static abstract TSelf Xor(TSelf a, TSelf b);

    /// <summary>Every element times the generator.</summary>
    static abstract TSelf Double(TSelf a);

    /// <summary>What <see cref="Multiply"/> needs to know of the factor, for the low half of a byte.</summary>
    static abstract TSelf LowTable(byte factor);

    /// <summary>What <see cref="Multiply"/> needs to know of the factor, for the high half of a byte.</summary>
    static abstract TSelf HighTable(byte factor);

    static abstract TSelf Multiply(TSelf a, TSelf low, TSelf high);
}
