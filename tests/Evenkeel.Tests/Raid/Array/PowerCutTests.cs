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
    public static TheoryData<RaidLevel, int, bool> Stories => new()
    {
        { RaidLevel.Raid1, 2, true }, { RaidLevel.Raid1, 3, false }, { RaidLevel.Raid5, 3, true }, { RaidLevel.Raid5, 4, false },
        { RaidLevel.Raid6, 5, true }, { RaidLevel.Raid10, 4, true }, { RaidLevel.Raid10, 5, true },
    };

    [Theory]
    [MemberData(nameof(Stories))]
    public async Task Cut_AtEveryWriteOfWritesFlushesAndSettling_LosesNothingFlushed(RaidLevel level, int members, bool bitmap) =>
        await CutEverywhereAsync(level, members, bitmap, async story =>
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
    public async Task Cut_AtEveryWriteOfFailRebuildAndReplace_LosesNothingFlushed(RaidLevel level, int members, bool bitmap) =>
        await CutEverywhereAsync(level, members, bitmap, async story =>
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

    private static async Task CutEverywhereAsync(RaidLevel level, int members, bool bitmap, Func<Story, Task> tell)
    {
        var whole = await Story.BeginAsync(level, members, bitmap, long.MaxValue);
        var setUp = whole.Bench.Power.Steps;
        await tell(whole);
        var steps = whole.Bench.Power.Steps;
        Assert.True(steps - setUp > 20);
        for (var cut = setUp + 1; cut <= steps; cut++)
        {
            var story = await Story.BeginAsync(level, members, bitmap, cut);
            try
            {
                await tell(story);
            }
            catch (IOException)
            {
                // The power is off; what counts is what comes up.
            }

            Assert.True(story.Bench.Power.IsOff);
            await story.CheckAfterCutAsync($"RAID {(int)level} of {members}, cut at {cut}", (int)cut);
        }
    }

    private sealed class Story
    {
        private readonly Random _random = new(11);
        private readonly Dictionary<long, List<byte>> _since = [];
        private byte[] _flushed = [];
        private byte[] _now = [];
        private byte _stamp;

        public required Bench Bench { get; init; }

        public static async Task<Story> BeginAsync(RaidLevel level, int members, bool bitmap, long cut)
        {
            var bench = await Array.Bench.CreateAsync(level, members, spares: 1, new PowerSupply(1, cut), bitmap, chunkBytes: 16 * 1024, dataBytes: 192 * 1024);
            return new Story { Bench = bench, _flushed = new byte[bench.Array.Length / 512], _now = new byte[bench.Array.Length / 512] };
        }

        // Each write has its own stamp, so a sector tells which write it came from.
        public async Task WriteAsync(int count)
        {
            for (var i = 0; i < count; i++)
            {
                var at = _random.Next(_now.Length);
                var sectors = Math.Min(_now.Length - at, _random.Next(1, 40));
                var bytes = new byte[sectors * 512];
                System.Array.Fill(bytes, ++_stamp);
                for (var sector = at; sector < at + sectors; sector++)
                {
                    if (!_since.TryGetValue(sector, out var versions)) _since[sector] = versions = [];
                    versions.Add(_now[sector] = _stamp);
                }

                await Bench.Array.WriteAsync(at * 512L, bytes);
            }
        }

        public async Task FlushAsync()
        {
            await Bench.Array.FlushAsync();
            _now.CopyTo(_flushed, 0);
            _since.Clear();
        }

        public async Task CheckAfterCutAsync(string where, int seed)
        {
            var next = new PowerSupply(seed);
            var disks = Bench.Disks.ConvertAll(disk => disk.Restart(next));
            RaidArray array;
            try
            {
                array = await Array.Bench.OpenAsync(disks);
            }
            catch (AssemblyRefusedException refusal) when (refusal.Message.Contains("--force", StringComparison.Ordinal))
            {
                return;
            }

            var up = await Array.Bench.ReadAllAsync(array);
            for (var sector = 0; sector < _now.Length; sector++)
            {
                var found = up[sector * 512];
                Assert.True(up.AsSpan(sector * 512, 512).IndexOfAnyExcept(found) < 0, $"{where}: sector {sector} is torn");
                Assert.True(found == _flushed[sector] || _since.TryGetValue(sector, out var versions) && versions.Contains(found),
                    $"{where}: sector {sector} holds {found}, flushed was {_flushed[sector]}");
            }

            await array.ResyncAsync();
            await array.RebuildAsync();
            Assert.Equal(0, await array.ScrubAsync(repair: false));
            await Array.Bench.AssertReadsAsync(up, array);
            Assert.Equal(0, array.OutOfSyncBytes);
            if (array.IsDegraded) return;

            // Redundancy is real: without any one member the same data come out.
            await array.FailAsync(array.Members.First(member => member.Slot == seed % array.Geometry.Members && !member.IsReplacement));
            await Array.Bench.AssertReadsAsync(up, array);
        }
    }
}
