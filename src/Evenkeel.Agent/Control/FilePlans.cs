using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Control;

/// <summary>Plans and applies cluster files: parse, adopt, compare with the committed spec, refuse what cannot be, commit.</summary>
internal static class FilePlans
{
    public static async Task<Answer<PlanReport>> PlanAsync(IControlPlane plane, FileRequest request, CancellationToken cancellation)
    {
        var read = Read(plane, request, out var warnings);
        if (read.Value is not { } proposed)
            return read.Problem!;
        var committed = await plane.GetSpecAsync(cancellation);
        return new PlanReport(committed?.Revision ?? 0, SpecDiff.Between(committed?.Value, proposed), warnings);
    }

    public static async Task<Answer<ApplyReport>> ApplyAsync(IControlPlane plane, FileRequest request, CancellationToken cancellation)
    {
        var read = Read(plane, request, out _);
        if (read.Value is not { } proposed)
            return read.Problem!;
        var committed = await plane.GetSpecAsync(cancellation);
        var revision = committed?.Revision ?? 0;
        if (request.Revision is { } planned && planned != revision)
            return new Problem(ProblemKind.Refused, "the cluster's configuration was changed since the plan was made", "Plan again, then apply");
        var changes = SpecDiff.Between(committed?.Value, proposed);
        if (changes.FirstOrDefault(change => change.Effect == ChangeEffect.Impossible) is { } impossible)
            return new Problem(ProblemKind.Refused, $"{impossible.Path} cannot change from {impossible.Before ?? "nothing"} to {impossible.After ?? "nothing"}: {impossible.Consequence}");
        if (changes.Count == 0)
            return new ApplyReport(revision, changes);
        var applied = await plane.ApplyAsync(proposed, revision, cancellation);
        return applied.Value is { } done ? new ApplyReport(done.Revision, changes) : applied.Problem!;
    }

    private static Answer<ClusterSpec> Read(IControlPlane plane, FileRequest request, out IReadOnlyList<Diagnostic> warnings)
    {
        var result = ClusterFile.Parse(request.Text, request.File);
        warnings = result.Diagnostics;
        return result.Spec is { } spec ? plane.Adopt(spec)
            : new Problem(ProblemKind.Configuration, $"{request.File} has errors") { Diagnostics = result.Diagnostics };
    }
}
