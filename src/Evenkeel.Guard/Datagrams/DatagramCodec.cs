using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PrivateConnection.Leases;

namespace Evenkeel.Guard.Datagrams;

/// <summary>
/// Binary form of what guards say (inside the encryption): little-endian integers, strings and lists preceded by their
/// length. Decoding refuses whatever does not fit exactly; lists of at most 4,096, names of at most 255 bytes.
/// </summary>
internal static class DatagramCodec
{
    private const byte AskType = 1, AnswerType = 2;
    private const int MaximumList = 4096;

    /// <returns>The bytes written, or -1 when <paramref name="into"/> is too small.</returns>
    public static int Write(GuardDatagram datagram, Span<byte> into)
    {
        var writer = new Writer(into);
        switch (datagram)
        {
            case AskDatagram ask:
                writer.Byte(AskType);
                writer.Instant(ask.AskedAt);
                writer.Short(ask.Asks.Count);
                for (var i = 0; i < ask.Asks.Count; i++)
                {
                    var one = ask.Asks[i];
                    writer.Name(one.Resource, one.Epoch);
                    writer.Byte((byte)((byte)one.Kind | (one.PreviousFenced ? 0x80 : 0)));
                }
                writer.Short(ask.Releases.Count);
                for (var i = 0; i < ask.Releases.Count; i++) writer.Name(ask.Releases[i].Resource, ask.Releases[i].Epoch);
                break;
            case AnswerDatagram answer:
                writer.Byte(AnswerType);
                writer.Long((long)answer.To.Value);
                writer.Instant(answer.AskedAt);
                writer.Short(answer.Answers.Count);
                for (var i = 0; i < answer.Answers.Count; i++)
                {
                    var one = answer.Answers[i];
                    writer.Name(one.Resource, one.Epoch);
                    writer.Byte((byte)one.Kind);
                    writer.Long(one.Duration.Ticks);
                    writer.Epoch(one.Floor);
                }
                break;
            default: throw new ArgumentOutOfRangeException(nameof(datagram));
        }
        return writer.Overflow ? -1 : writer.Length;
    }

    public static bool TryRead(ReadOnlySpan<byte> from, GuardSession sender, [NotNullWhen(true)] out GuardDatagram? datagram)
    {
        var reader = new Reader(from);
        datagram = reader.Byte() switch
        {
            AskType => ReadAsk(ref reader, sender),
            AnswerType => ReadAnswer(ref reader, sender),
            _ => null,
        };
        if (reader.Broken || !reader.AtEnd) datagram = null;
        return datagram is not null;
    }

    private static AskDatagram? ReadAsk(ref Reader reader, GuardSession sender)
    {
        var askedAt = reader.Instant();
        if (reader.Count() is not { } count) return null;
        var asks = new LeaseAsk[count];
        for (var i = 0; i < asks.Length && !reader.Broken; i++)
        {
            var name = reader.Name();
            var kind = reader.Byte();
            if ((AskKind)(kind & 0x7f) is not (AskKind.Promise or AskKind.Grant)) return null;
            asks[i] = new(name.Resource, name.Epoch, (AskKind)(kind & 0x7f), kind >= 0x80);
        }
        if (reader.Count() is not { } released) return null;
        var releases = new HeldLease[released];
        for (var i = 0; i < releases.Length && !reader.Broken; i++) releases[i] = reader.Name();
        return new(sender, askedAt, asks, releases);
    }

    private static AnswerDatagram? ReadAnswer(ref Reader reader, GuardSession sender)
    {
        var to = new GuardSession((ulong)reader.Long());
        var askedAt = reader.Instant();
        if (reader.Count() is not { } count) return null;
        var answers = new LeaseAnswer[count];
        for (var i = 0; i < answers.Length && !reader.Broken; i++)
        {
            var name = reader.Name();
            var kind = (AnswerKind)reader.Byte();
            var ticks = reader.Long();
            if (kind is < AnswerKind.Promised or > AnswerKind.NotVoting || ticks < 0 || ticks > TimeSpan.TicksPerDay) return null;
            answers[i] = new(name.Resource, name.Epoch, kind, TimeSpan.FromTicks(ticks), reader.Epoch());
        }
        return new(sender, to, askedAt, answers);
    }

    private ref struct Writer(Span<byte> into)
    {
        private readonly Span<byte> _into = into;
        public int Length { get; private set; }
        public bool Overflow { get; private set; }

        private Span<byte> Take(int length)
        {
            if (Overflow || Length + length > _into.Length) { Overflow = true; return default; }
            Length += length;
            return _into.Slice(Length - length, length);
        }

        public void Byte(byte value) { var at = Take(1); if (!Overflow) at[0] = value; }
        public void Short(int value) { var at = Take(2); if (!Overflow) BinaryPrimitives.WriteUInt16LittleEndian(at, checked((ushort)value)); }
        public void Long(long value) { var at = Take(8); if (!Overflow) BinaryPrimitives.WriteInt64LittleEndian(at, value); }
        public void Instant(Instant value) { Long(value.BootNanoseconds); Long(value.RawNanoseconds); }
        public void Epoch(Epoch value) { Long(value.Incarnation); Long(value.Number); }
        public void Name(ResourceId resource, Epoch epoch)
        {
            var length = Encoding.UTF8.GetByteCount(resource.Value);
            if (length > byte.MaxValue) throw new ArgumentException($"the name of {resource} is longer than 255 bytes");
            Byte((byte)length);
            var at = Take(length);
            if (!Overflow) Encoding.UTF8.GetBytes(resource.Value, at);
            Epoch(epoch);
        }
    }

    private ref struct Reader(ReadOnlySpan<byte> from)
    {
        private ReadOnlySpan<byte> _from = from;
        public bool Broken { get; private set; }
        public readonly bool AtEnd => _from.IsEmpty;

        private ReadOnlySpan<byte> Take(int length)
        {
            if (Broken || _from.Length < length) { Broken = true; return default; }
            var taken = _from[..length];
            _from = _from[length..];
            return taken;
        }

        public byte Byte() => Take(1) is { Length: 1 } at ? at[0] : (byte)0;
        public long Long() => Take(8) is { Length: 8 } at ? BinaryPrimitives.ReadInt64LittleEndian(at) : 0;
        public int? Count() => Take(2) is { Length: 2 } at && BinaryPrimitives.ReadUInt16LittleEndian(at) is var count && count <= MaximumList ? count : null;
        public Instant Instant() => new(Long(), Long());
        public Epoch Epoch()
        {
            var (incarnation, number) = (Long(), Long());
            if (incarnation is < 0 or > int.MaxValue || number < 0) Broken = true;
            return Broken ? default : new((int)incarnation, number);
        }
        public HeldLease Name()
        {
            var length = Byte();
            var name = Encoding.UTF8.GetString(Take(length));
            return new(new ResourceId(name), Epoch());
        }
    }
}
