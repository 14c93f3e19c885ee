using Evenkeel.Raid.Devices;
using Xunit;

namespace Evenkeel.Tests.Raid.Devices;

/// <summary>Pieces of one stretch of memory, given back in the order in which they were taken.</summary>
public sealed class BacklogRingTests : IDisposable
{
    private const int Size = 64;
    private readonly BacklogRing _ring = new(Size);

    public void Dispose() => ((IDisposable)_ring).Dispose();

    [Fact]
    public void TryTake_AfterAPieceThatEndedAtTheRingsEnd_IsAtItsBeginning()
    {
        var taken = Enumerable.Range(1, 4).Select(number => Take(16, (byte)number)).ToList();
        Assert.False(_ring.TryTake(16, out _, out _));
        _ring.Give(taken[0].Taken);
        Take(16, 5);
        Assert.All(taken[1..], piece => Assert.All(piece.Bytes.ToArray(), one => Assert.Equal(piece.Value, one)));
    }

    [Fact]
    public void TryTake_PiecesOfAllSizes_NoneIsInAnothersPlaceAndNoMoreThanTheRingIsUsed()
    {
        var random = new Random(1);
        var held = new Queue<(Memory<byte> Bytes, int Taken, byte Value)>();
        var (refused, value) = (0, (byte)0);
        for (var round = 0; round < 20_000; round++)
        {
            var length = random.Next(1, Size / 2);
            if (_ring.TryTake(length, out var piece, out var taken))
            {
                Assert.Equal(length, piece.Length);
                piece.Span.Fill(++value);
                held.Enqueue((piece, taken, value));
            }
            else
            {
                refused++;
                Assert.NotEmpty(held);
            }

            Assert.InRange(held.Sum(one => one.Taken), 0, Size);
            Assert.All(held, one => Assert.Equal(-1, one.Bytes.Span.IndexOfAnyExcept(one.Value)));
            if (held.Count > 0 && random.Next(3) == 0) _ring.Give(held.Dequeue().Taken);
        }

        Assert.True(refused > 100, "it was never full");
    }

    private (Memory<byte> Bytes, int Taken, byte Value) Take(int length, byte value)
    {
        Assert.True(_ring.TryTake(length, out var piece, out var taken));
        piece.Span.Fill(value);
        return (piece, taken, value);
    }
}
