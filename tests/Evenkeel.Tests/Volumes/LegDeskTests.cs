using Evenkeel.Agent.Volumes;
using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;
using Xunit;

namespace Evenkeel.Tests.Volumes;

/// <summary>A leg's memory on its disk.</summary>
public sealed class LegDeskTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("ek-leg-").FullName;

    private LegSettings Settings(string volume = "files") => new(volume, Path.Combine(_root, "leg.img"), 16 << 20, [], 7899, "", "", null);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Epoch_OnceRaised_OutlivesTheServer()
    {
        await using (var desk = await LegDesk.OpenAsync(Settings())) Assert.NotNull((await desk.AdmitAsync(new Epoch(1, 7), Token)).Export);
        await using var again = await LegDesk.OpenAsync(Settings());
        var (export, refusal) = await again.AdmitAsync(new Epoch(1, 6), Token);
        Assert.Null(export);
        Assert.Contains("1.6 is over", refusal, StringComparison.Ordinal);
        Assert.NotNull((await again.AdmitAsync(new Epoch(1, 7), Token)).Export);
    }

    [Fact]
    public async Task OlderExport_AfterANewerWasLetIn_IsRefusedEveryRequest()
    {
        await using var desk = await LegDesk.OpenAsync(Settings());
        var old = (await desk.AdmitAsync(new Epoch(1, 1), Token)).Export!;
        await old.WriteAsync(8192, new byte[512]);
        var next = (await desk.AdmitAsync(new Epoch(1, 2), Token)).Export!;
        await Assert.ThrowsAsync<IOException>(async () => await old.WriteAsync(8192, new byte[512]));
        await Assert.ThrowsAsync<IOException>(async () => await old.ReadAsync(8192, new byte[512]));
        await Assert.ThrowsAsync<IOException>(async () => await old.FlushAsync());
        await next.WriteAsync(8192, new byte[512]);
    }

    [Fact]
    public async Task NewerWriter_WaitsForTheOldersRequestUnderWay()
    {
        await using var desk = await LegDesk.OpenAsync(Settings());
        var epoch = new Epoch(1, 1);
        await desk.AdmitAsync(epoch, Token);
        desk.Enter(epoch);
        var coming = desk.AdmitAsync(new Epoch(1, 2), Token);
        await Task.Delay(100, Token);
        Assert.False(coming.IsCompleted, "the newer writer was let in while a request of the older one was under way");
        desk.Leave(epoch, metadata: false);
        Assert.NotNull((await coming).Export);
    }

    [Fact]
    public async Task Record_OfItsServer_IsOutOfReachForWriters()
    {
        await using var desk = await LegDesk.OpenAsync(Settings());
        var export = (await desk.AdmitAsync(new Epoch(1, 1), Token)).Export!;
        await Assert.ThrowsAsync<IOException>(async () => await export.WriteAsync(0, new byte[4096]));
    }

    [Fact]
    public async Task Leg_OfAnotherVolume_IsRefused()
    {
        await using (await LegDesk.OpenAsync(Settings())) { }
        var refused = await Assert.ThrowsAsync<IOException>(() => LegDesk.OpenAsync(Settings("other")));
        Assert.Contains("a leg of the volume 'files'", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Leg_WhoseDirectoryIsMissing_IsNotMadeElsewhere()
    {
        var refused = await Assert.ThrowsAsync<IOException>(() => LegDesk.OpenAsync(Settings() with { Path = Path.Combine(_root, "not-mounted", "leg.img") }));
        Assert.Contains("mount its disk", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task Record_WithOneCopyDamaged_IsReadFromTheOther(int copy)
    {
        var settings = Settings();
        await using (var desk = await LegDesk.OpenAsync(settings)) await desk.AdmitAsync(new Epoch(1, 3), Token);
        await using (var file = File.OpenWrite(settings.Path))
        {
            file.Position = copy * 512 + 20;
            file.Write("torn"u8);
        }

        await using var again = await LegDesk.OpenAsync(settings);
        Assert.Equal(new Epoch(1, 3), again.Record.Epoch);
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);
}
