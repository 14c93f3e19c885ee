namespace Evenkeel.Backup.Engine;

/// <summary>A name as a dictionary's key: equal and ordered by its bytes.</summary>
internal readonly struct ByteKey(byte[] bytes) : IEquatable<ByteKey>, IComparable<ByteKey>
{
    public byte[] Bytes { get; } = bytes;

    public bool Equals(ByteKey other) => Bytes.AsSpan().SequenceEqual(other.Bytes);

    public override bool Equals(object? obj) => obj is ByteKey other && Equals(other);

    public override int GetHashCode()
    {
        var hash = default(HashCode);
        hash.AddBytes(Bytes);
        return hash.ToHashCode();
    }

    public int CompareTo(ByteKey other) => Bytes.AsSpan().SequenceCompareTo(other.Bytes);
}
