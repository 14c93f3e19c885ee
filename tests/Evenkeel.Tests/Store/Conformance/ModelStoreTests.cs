using Evenkeel.Core.Loop.Ports;
using Evenkeel.PrivateConnection.Store.Model;

namespace Evenkeel.Tests.Store.Conformance;

public sealed class ModelStoreTests : StoreConformance
{
    private readonly ModelStore _model = new();

    protected override Task<ICoordinationStore> OpenAsync() => Task.FromResult<ICoordinationStore>(_model);

    protected override Task CompactAsync(long revision)
    {
        _model.Forget(revision);
        return Task.CompletedTask;
    }
}
