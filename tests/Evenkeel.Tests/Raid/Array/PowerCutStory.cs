using Evenkeel.Raid.Array;
using Evenkeel.Raid.Geometry;
using Xunit;

namespace Evenkeel.Tests.Raid.Array;

/// <summary>How an array finds out after an unclean stop what may disagree.</summary>
public enum Books
{
    /// <summary>Not at all: everything is made good anew.</summary>
    None,

    /// <summary>A write-intent bitmap.</summary>
    Bitmap,

    /// <summary>A partial parity log.</summary>
    Log,
}

/// <summary>Writes with stamps on an array whose power goes off at some step, and what of them must be there when it comes up again.</summary>
internal sealed class PowerCutStory
{
    private readonly Random _random = new(11);
    private readonly Dictionary<long, List<byte>> _since = [];
    private byte[] _flushed = [];
    private byte[] _now = [];
    private byte _stamp;
    private (int From, int To) _underWay;

    public required Bench Bench { get; init; }

    public required Books Books { get; init; }

    public static async Task<PowerCutStory> BeginAsync(RaidLevel level, int members, Books books, long cut, int spares = 1)
    {
        var bench = await Bench.CreateAsync(
            level, members, spares, new PowerSupply(1, cut), books == Books.Bitmap, chunkBytes: 16 * 1024, dataBytes: 192 * 1024, log: books == Books.Log);
        return new PowerCutStory { Bench = bench, Books = books, _flushed = new byte[bench.Array.Length / 512], _now = new byte[bench.Array.Length / 512] };
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

            _underWay = (at, at + sectors);
            await Bench.Array.WriteAsync(at * 512L, bytes);
            _underWay = default;
        }
    }

    public async Task ZeroAsync(int at, int sectors)
    {
        for (var sector = at; sector < at + sectors; sector++)
        {
            if (!_since.TryGetValue(sector, out var versions)) _since[sector] = versions = [];
            versions.Add(_now[sector] = 0);
        }

        _underWay = (at, at + sectors);
        await Bench.Array.ZeroAsync(at * 512L, sectors * 512L);
        _underWay = default;
    }

    public async Task FlushAsync()
    {
        await Bench.Array.FlushAsync();
        _now.CopyTo(_flushed, 0);
        _since.Clear();
    }

    /// <summary>Restarts with a mains that fails again, during what an array does when it comes up. False: it came through, or was refused.</summary>
    public async Task<bool> IsCutAgainAsync(int seed, long cut)
    {
        var power = new PowerSupply(seed, cut);
        for (var i = 0; i < Bench.Disks.Count; i++) Bench.Disks[i] = Bench.Disks[i].Restart(power);
        try
        {
            var array = await Bench.OpenAsync(Bench.Disks);
            await array.ResyncAsync();
            await array.RebuildAsync();
            await array.StopAsync();
        }
        catch (AssemblyRefusedException refusal) when (refusal.Message.Contains("--force", StringComparison.Ordinal))
        {
            return false;
        }
        catch (IOException) when (power.IsOff)
        {
            // What counts is what comes up next.
        }

        return power.IsOff;
    }

    /// <summary>Restarts, checks, and says how it came up: null = refused for the reason that <c>--force</c> is for.</summary>
    public async Task<RaidArray?> CheckAfterCutAsync(string where, int seed)
    {
        var next = new PowerSupply(seed);
        var disks = Bench.Disks.ConvertAll(disk => disk.Restart(next));
        RaidArray array;
        try
        {
            array = await Bench.OpenAsync(disks);
        }
        catch (AssemblyRefusedException refusal) when (refusal.Message.Contains("--force", StringComparison.Ordinal))
        {
            return null;
        }

        var up = await Bench.ReadAllAsync(array);
        for (var sector = 0; sector < _now.Length; sector++)
        {
            // A block that is missing and was being written is computed from what else was: the log cannot know its old content.
            if (Books == Books.Log && array.IsDegraded && sector >= _underWay.From && sector < _underWay.To) continue;
            var found = up[sector * 512];
            Assert.True(up.AsSpan(sector * 512, 512).IndexOfAnyExcept(found) < 0, $"{where}: sector {sector} is torn");
            Assert.True(found == _flushed[sector] || _since.TryGetValue(sector, out var versions) && versions.Contains(found),
                $"{where}: sector {sector} holds {found}, flushed was {_flushed[sector]}");
        }

        var outOfSync = array.OutOfSyncBytes;
        await array.ResyncAsync();
        await array.RebuildAsync();
        Assert.Equal(0, await array.ScrubAsync(repair: false));
        await Bench.AssertReadsAsync(up, array);
        Assert.Equal(0, array.OutOfSyncBytes);
        CameUpWithoutResync = outOfSync == 0;
        if (array.IsDegraded) return array;

        // Redundancy is real: without any one member the same data come out.
        await array.FailAsync(array.Members.First(member => member.Slot == seed % array.Geometry.Members && !member.IsReplacement));
        await Bench.AssertReadsAsync(up, array);
        return array;
    }

    /// <summary>Whether nothing was out of sync when it came up.</summary>
    public bool CameUpWithoutResync { get; private set; }
}
