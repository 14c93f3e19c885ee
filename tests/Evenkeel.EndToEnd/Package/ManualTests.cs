using System.Diagnostics;
using Evenkeel.Agent.Local;
using Evenkeel.EndToEnd.Lab;
using Xunit;

namespace Evenkeel.EndToEnd.Package;

/// <summary>The manual pages as the formatter of every distribution reads them.</summary>
public sealed class ManualTests
{
    [Fact]
    public async Task Pages_AreReadByGroffWithoutAWarning()
    {
        var directory = Directory.CreateTempSubdirectory("ek-manual-").FullName;
        try
        {
            await SystemCommand.RunAsync([Checkout.Program, "manual", "--directory", directory], TestContext.Current.CancellationToken);
            var pages = Directory.GetFiles(directory);
            Assert.Contains(Path.Combine(directory, "evenkeel-preflight.8"), pages);
            foreach (var page in pages)
            {
                using var groff = Process.Start(new ProcessStartInfo("groff", ["-man", "-Tutf8", "-ww", "-z", page]) { RedirectStandardError = true })!;
                var complaints = await groff.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
                Assert.True(complaints.Length == 0, complaints);
            }
            Assert.Contains("Is everything all right", await SystemCommand.RunAsync(["groff", "-man", "-Tutf8", Path.Combine(directory, "evenkeel-status.8")], TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }
        finally { Directory.Delete(directory, recursive: true); }
    }
}
