using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host;

/// <summary>The cluster's committed state is of a later format than this program reads: it was not interpreted, and nothing was changed.</summary>
public sealed class StateTooNewException(int format)
    : Exception($"the cluster's state is of format {format}, and this program ({ProgramVersion.Current}) reads formats up to {StateFormat.Current}");
