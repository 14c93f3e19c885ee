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
        await using (var desk = await LegDesk.OpenAsync(Settings())) Assert.NotNull((await desk.AdmitAsync(new Epoch(1, 7), 1, false, Token)).Export);
        await using var again = await LegDesk.OpenAsync(Settings());
        var (export, refusal) = await again.AdmitAsync(new Epoch(1, 6), 1, false, Token);
        Assert.Null(export);
        Assert.Contains("1.6 is over", refusal, StringComparison.Ordinal);
        Assert.NotNull((await again.AdmitAsync(new Epoch(1, 7), 1, false, Token)).Export);
    }

    [Fact]
    public async Task OlderExport_AfterANewerWasLetIn_IsRefusedEveryRequest()
    {
        await using var desk = await LegDesk.OpenAsync(Settings());
        var old = (await desk.AdmitAsync(new Epoch(1, 1), 1, false, Token)).Export!;
        await old.WriteAsync(8192, new byte[512]);
        var next = (await desk.AdmitAsync(new Epoch(1, 2), 1, false, Token)).Export!;
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
        await desk.AdmitAsync(epoch, 1, false, Token);
        desk.Enter(epoch, 1, writes: true);
        var coming = desk.AdmitAsync(new Epoch(1, 2), 1, false, Token);
        await Task.Delay(100, Token);
        Assert.False(coming.IsCompleted, "the newer writer was let in while a request of the older one was under way");
        desk.Leave(epoch, 1, metadata: false);
        Assert.NotNull((await coming).Export);
    }

    /// <summary>What a connection that was given up had sent may still come, when the leg has got what it missed over the next one.</summary>
    [Fact]
    public async Task OlderConnection_OfTheSameWriter_AfterANewerCame_WritesNothing()
    {
        await using var desk = await LegDesk.OpenAsync(Settings());
        var epoch = new Epoch(1, 1);
        var looks = (await desk.AdmitAsync(epoch, 0, false, Token)).Export!;
        var old = (await desk.AdmitAsync(epoch, 5, false, Token)).Export!;
        await old.WriteAsync(8192, new byte[512]);
        var next = (await desk.AdmitAsync(epoch, 9, false, Token)).Export!;
        await Assert.ThrowsAsync<IOException>(async () => await old.WriteAsync(8192, new byte[512]));
        await Assert.ThrowsAsync<IOException>(async () => await looks.WriteAsync(8192, new byte[512]));
        await looks.ReadAsync(8192, new byte[512]);
        await next.WriteAsync(8192, new byte[512]);
        // The number is the device's, also when its connection was made anew; a lower one comes late.
        Assert.NotNull((await desk.AdmitAsync(epoch, 9, false, Token)).Export);
        Assert.Contains("newer connection", (await desk.AdmitAsync(epoch, 8, false, Token)).Refusal, StringComparison.Ordinal);
        Assert.NotNull((await desk.AdmitAsync(new Epoch(1, 2), 1, false, Token)).Export);
    }

    [Fact]
    public async Task NewerConnection_WaitsForTheOldersWriteUnderWay()
    {
        await using var desk = await LegDesk.OpenAsync(Settings());
        var epoch = new Epoch(1, 1);
        await desk.AdmitAsync(epoch, 1, false, Token);
        desk.Enter(epoch, 1, writes: true);
        var coming = desk.AdmitAsync(epoch, 2, false, Token);
        await Task.Delay(100, Token);
        Assert.False(coming.IsCompleted, "the newer connection was let in while a write of the older one was under way");
        desk.Leave(epoch, 1, metadata: false);
        Assert.NotNull((await coming).Export);
    }

    [Theory]
    [InlineData(510)]
    [InlineData(65536 + 64)]
    public async Task Device_WithForeignData_IsNotOverwritten(int at)
    {
        var settings = Settings();
        var foreign = new byte[16 << 20];
        foreign[at] = 0x55;
        await File.WriteAllBytesAsync(settings.Path, foreign, Token);
        var refused = await Assert.ThrowsAsync<IOException>(() => LegDesk.OpenAsync(settings));
        Assert.Contains("is not empty", refused.Message, StringComparison.Ordinal);
        Assert.Equal(foreign, await File.ReadAllBytesAsync(settings.Path, Token));
        foreign[at] = 0;
        await File.WriteAllBytesAsync(settings.Path, foreign, Token);
        await using var taken = await LegDesk.OpenAsync(settings);
        Assert.False(taken.Record.Fresh);
    }

    [Fact]
    public async Task Record_OfItsServer_IsOutOfReachForWriters()
    {
        await using var desk = await LegDesk.OpenAsync(Settings());
        var export = (await desk.AdmitAsync(new Epoch(1, 1), 1, false, Token)).Export!;
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
        await using (var desk = await LegDesk.OpenAsync(settings)) await desk.AdmitAsync(new Epoch(1, 3), 1, false, Token);
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
