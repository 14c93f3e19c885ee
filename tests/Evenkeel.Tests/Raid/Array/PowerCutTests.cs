using Evenkeel.Raid.Array;
using Evenkeel.Raid.Geometry;
using Xunit;

namespace Evenkeel.Tests.Raid.Array;

/// <summary>
/// The power goes off at each single write and flush of a story, unflushed sectors survive at random, and the array must come up with:
/// every sector flushed and acknowledged, or a newer version of it; redundancy that agrees after the resync it asks for; or a refusal
/// where md would refuse too (dirty and degraded).
/// </summary>
public sealed class PowerCutTests
{
    public static TheoryData<RaidLevel, int, Books> Stories => new()
    {
        { RaidLevel.Raid1, 2, Books.Bitmap }, { RaidLevel.Raid1, 3, Books.None }, { RaidLevel.Raid5, 3, Books.Bitmap }, { RaidLevel.Raid5, 4, Books.None },
        { RaidLevel.Raid5, 4, Books.Log }, { RaidLevel.Raid6, 5, Books.Bitmap }, { RaidLevel.Raid10, 4, Books.Bitmap }, { RaidLevel.Raid10, 5, Books.Bitmap },
    };

    [Theory]
    [MemberData(nameof(Stories))]
    public async Task Cut_AtEveryWriteOfWritesFlushesAndSettling_LosesNothingFlushed(RaidLevel level, int members, Books books) =>
        await CutEverywhereAsync(level, members, books, async story =>
        {
            await story.WriteAsync(8);
            await story.FlushAsync();
            await story.WriteAsync(6);
            await story.Bench.Array.SettleAsync();
            await story.WriteAsync(5);
            await story.FlushAsync();
            await story.WriteAsync(3);
        });

    [Theory]
    [MemberData(nameof(Stories))]
    public async Task Cut_AtEveryWriteOfFailRebuildAndReplace_LosesNothingFlushed(RaidLevel level, int members, Books books) =>
        await CutEverywhereAsync(level, members, books, async story =>
        {
            await story.WriteAsync(4);
            await story.FlushAsync();
            var away = story.Bench.Array.Members[1];
            await story.Bench.Array.FailAsync(away);
            await story.WriteAsync(2);
            await story.FlushAsync();
            await story.Bench.Array.SettleAsync();
            await story.Bench.Array.RebuildAsync();
            await story.WriteAsync(2);
            await story.FlushAsync();
            await story.Bench.Array.RemoveAsync(away);
            await story.Bench.Array.AddAsync(away.Device);
            await story.Bench.Array.ReplaceAsync(story.Bench.Array.Members[0]);
            await story.WriteAsync(2);
            await story.Bench.Array.RebuildAsync();
            await story.FlushAsync();
            await story.WriteAsync(1);
        });

    [Theory]
    [MemberData(nameof(Stories))]
    public async Task Cut_AtEveryWriteOfReAddZeroAndRepair_LosesNothingFlushed(RaidLevel level, int members, Books books) =>
        await CutEverywhereAsync(level, members, books, async story =>
        {
            await story.WriteAsync(4);
            await story.FlushAsync();
            await story.Bench.Array.SettleAsync();
            var away = story.Bench.Array.Members[1];
            await story.Bench.Array.FailAsync(away);
            await story.Bench.Array.RemoveAsync(away);
            await story.WriteAsync(2);
            await story.FlushAsync();
            await story.Bench.Array.AddAsync(away.Device);
            await story.WriteAsync(1);
            await story.Bench.Array.RebuildAsync();
            await story.ZeroAsync(3, 150);
            await story.FlushAsync();
            await story.Bench.Array.ScrubAsync(repair: true);
            await story.WriteAsync(1);
        }, spares: 0);

    [Theory]
    [MemberData(nameof(Stories))]
    public async Task Cut_AgainAtEveryWriteOfTheRecovery_LosesNothingFlushed(RaidLevel level, int members, Books books)
    {
        var cutsAgain = 0;
        for (var first = 80; first < 200; first += 17)
        {
            for (var second = 1; second < 500; second++)
            {
                var story = await PowerCutStory.BeginAsync(level, members, books, first);
                await Assert.ThrowsAnyAsync<IOException>(async () =>
                {
                    for (var i = 0; i < 100; i++)
                    {
                        await story.WriteAsync(3);
                        await story.FlushAsync();
                    }
                });
                if (!await story.IsCutAgainAsync(first, second)) break;
                Assert.NotNull(await story.CheckAfterCutAsync($"RAID {(int)level} of {members}, cut at {first} and at {second} of the recovery", second));
                cutsAgain++;
            }
        }

        Assert.True(cutsAgain > 30, $"{cutsAgain} cuts of a recovery");
    }

    /// <summary>The write hole: a member is missing, and the power goes while rows are half written.</summary>
    [Theory]
    [InlineData(3, 0)]
    [InlineData(4, 2)]
    public async Task Cut_DegradedWithAPartialParityLog_ComesUpWithoutForce(int members, int missing)
    {
        var (refused, cuts) = await CutEverywhereAsync(RaidLevel.Raid5, members, Books.Log, async story =>
        {
            await story.WriteAsync(12);
            await story.FlushAsync();
            await story.Bench.Array.FailAsync(story.Bench.Array.Members[missing]);
            await story.WriteAsync(8);
            await story.FlushAsync();
            await story.WriteAsync(8);
        }, spares: 0);
        // A log that was itself being written when the power went says nothing.
        Assert.InRange(refused, 0, cuts / 3);
    }

    [Fact]
    public async Task Cut_CompleteWithAPartialParityLog_SeldomNeedsAResync()
    {
        var (sound, cuts) = (0, 0);
        for (var cut = 200L; cut < 280; cut++)
        {
            var story = await PowerCutStory.BeginAsync(RaidLevel.Raid5, 4, Books.Log, cut, spares: 0);
            await Assert.ThrowsAnyAsync<IOException>(() => story.WriteAsync(60));
            Assert.NotNull(await story.CheckAfterCutAsync($"cut at {cut}", (int)cut));
            (sound, cuts) = (sound + (story.CameUpWithoutResync ? 1 : 0), cuts + 1);
        }

        Assert.InRange(sound, cuts / 2, cuts);
    }

    // How many of the cuts ended in a refusal, and how many there were.
    private static async Task<(int Refused, int Cuts)> CutEverywhereAsync(RaidLevel level, int members, Books books, Func<PowerCutStory, Task> tell, int spares = 1)
    {
        var whole = await PowerCutStory.BeginAsync(level, members, books, long.MaxValue, spares);
        var setUp = whole.Bench.Power.Steps;
        await tell(whole);
        var steps = whole.Bench.Power.Steps;
        Assert.True(steps - setUp > 20);
        var refused = 0;
        for (var cut = setUp + 1; cut <= steps; cut++)
        {
            var story = await PowerCutStory.BeginAsync(level, members, books, cut, spares);
            try
            {
                await tell(story);
            }
            catch (IOException)
            {
                // The power is off; what counts is what comes up.
            }

            Assert.True(story.Bench.Power.IsOff);
            if (await story.CheckAfterCutAsync($"RAID {(int)level} of {members}, cut at {cut}", (int)cut) is null) refused++;
        }

        return (refused, (int)(steps - setUp));
    }
}
