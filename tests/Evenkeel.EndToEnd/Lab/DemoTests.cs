using System.Diagnostics;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>The README's first command, unattended: what it promises a newcomer is what it does.</summary>
public sealed class DemoTests(ITestOutputHelper output)
{
    [Fact]
    public async Task DemoOnce_KillsHangsAndDrainsEachNode_EveryRowPassesAndNothingStays()
    {
        // A machine that stands still fails any goal; see NamespaceLab.PlayAsync.
        using var stalls = new StallWatch();
        for (var again = 2; ; again--)
        {
            stalls.Reset();
            using var demo = Process.Start(new ProcessStartInfo(Checkout.Program, ["demo", "--once"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            var errors = demo.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            var text = await demo.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await demo.WaitForExitAsync(TestContext.Current.CancellationToken);
            output.WriteLine(text);
            Assert.False(Directory.Exists("/run/evenkeel/demo"), "files of the demo stayed");
            Assert.DoesNotContain(Process.GetProcessesByName("evenkeel-guard"), guard => File.ReadAllText($"/proc/{guard.Id}/cmdline").Contains("/run/evenkeel/demo/", StringComparison.Ordinal));
            if (demo.ExitCode != 0 && again > 0 && stalls.Worst > TimeSpan.FromMilliseconds(60)) continue;
            Assert.True(demo.ExitCode == 0, $"exit code {demo.ExitCode}: {await errors}");
            foreach (var fault in new[] { "kill", "hang", "drain" })
                foreach (var node in new[] { "n1", "n2", "n3" })
                    Assert.Contains(text.Split('\n'), line => line.Contains(fault, StringComparison.Ordinal) && line.Contains($" {node} ", StringComparison.Ordinal) && line.TrimEnd().EndsWith("ok", StringComparison.Ordinal));
            return;
        }
    }
}
